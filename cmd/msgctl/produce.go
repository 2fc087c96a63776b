package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"

	"github.com/spf13/cobra"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

type produceFlags struct {
	destination

	channel, scenario string
	count             int
	rate              float64
	meta              map[string]string
	dryRun            bool
}

func produce(s *session) *cobra.Command {
	f := produceFlags{}
	cmd := &cobra.Command{
		Use:   "produce",
		Short: "Produce sample requests, whose meta tells the mock provider how to answer",
		Long: `Produce sample requests of a scenario: what the mock provider will do, or what is
wrong with the request. mixed takes all scenarios in turn. A line is printed for
each request that Kafka acknowledged (with --output json: an object a line).

Scenarios: success; slow (300 ms a call); transient-once, transient (every
attempt); rate_limited (once, with Retry-After); timeout-once, timeout; permanent;
partial (the last of three recipients is refused); unknown; panic (once); invalid;
not-json. Underscores are as good as hyphens.`,
		Example: `  msgctl produce --channel email --scenario transient
  msgctl produce --channel sms --scenario mixed
  msgctl produce --channel sms --lane bulk --count 1000
  msgctl produce --channel whatsapp --scenario success --count 500 --rate 50
  msgctl produce --channel sms --scenario transient --meta scenario_failures=2
  msgctl produce --channel email --scenario partial --dry-run   # only print it`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) },
	}
	flags := cmd.Flags()
	channelFlag(cmd, &f.channel, "email")
	f.bind(cmd)
	flags.StringVarP(&f.scenario, "scenario", "s", "success", "one of the above")
	flags.IntVarP(&f.count, "count", "n", 0, "how many requests (default: 1; mixed: one of each)")
	flags.Float64Var(&f.rate, "rate", 100, "requests a second")
	flags.Var(pairs{&f.meta, "", "key=value"}, "meta", "further entry of meta, or another hint; repeat it for several")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the requests, one a line, and produce nothing")
	complete(cmd, "scenario", append(scenarioNames(func(ops.Scenario) bool { return true }), ops.Mixed))
	return cmd
}

// scenarioNames lists the scenarios that are wanted.
func scenarioNames(wanted func(ops.Scenario) bool) []string {
	var names []string
	for _, s := range ops.Scenarios() {
		if wanted(s) {
			names = append(names, s.Name)
		}
	}
	return names
}

// samples checks the flags.
func (f *produceFlags) samples() (*ops.Samples, error) {
	p := &ops.Samples{Channel: models.Channel(f.channel), Scenarios: ops.Scenarios(), Meta: maps.Clone(f.meta), Count: f.count, Rate: f.rate}
	if f.scenario != ops.Mixed {
		one, err := ops.ScenarioNamed(f.scenario)
		if err != nil {
			return nil, usageError{fmt.Errorf("%w, or %s", err, ops.Mixed)}
		}
		p.Scenarios = []ops.Scenario{one}
	}
	if f.count < 0 || !(f.rate > 0) {
		return nil, usageError{errors.New("--count must not be negative, and --rate must be above 0")}
	}
	if p.Count == 0 {
		p.Count = len(p.Scenarios)
	}
	return p, nil
}

func (f *produceFlags) run(cmd *cobra.Command, s *session) error {
	if err := cmp.Or(knownChannel(f.channel), f.valid()); err != nil {
		return err
	}
	p, err := f.samples()
	if err != nil {
		return err
	}
	if f.dryRun {
		return printSamples(cmd, p)
	}
	c, err := f.settings(s, f.channel)
	if err != nil {
		return err
	}
	out := &printer{w: cmd.OutOrStdout()}
	done, bar := 0, newProgress(cmd, "produce", int64(p.Count))
	err = p.Produce(cmd.Context(), c, func(r *ops.Request) {
		_ = bar.Clear()
		if s.output == "json" {
			_ = printLine(out, r) // out keeps the error
		} else {
			fmt.Fprintf(out, "%-8s  %-14s  %s\n", r.Channel, r.Scenario, r.MessageID)
		}
		done++
		_ = bar.Set(done)
	})
	_ = bar.Finish()
	if err == nil {
		err = out.err
	}
	if s.output != "json" || err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %s produced to %s\n", done, counted(p.Count, "request"), c.Kafka.RequestTopic)
	}
	return err
}

// printSamples prints the requests themselves.
func printSamples(cmd *cobra.Command, p *ops.Samples) error {
	for n := range p.Count {
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		r, err := p.Request(n)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", r.Value); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}
