package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/load"
)

type loadFlags struct {
	load.Options
	destination

	channel, scenario, keys string
}

// defaultLoad is the default of --messages.
const defaultLoad = 100_000

func loadCommand(s *session) *cobra.Command {
	f := loadFlags{}
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Produce many requests, and measure throughput and latency",
		Long: `Produce many requests as fast as it goes, or at a rate, and tell throughput and
the latency of the acknowledgements. With --await every message is followed to
its end on the status topic: how many were sent, failed or were canceled, how
long that took, and whether each had exactly one final event. A message without
one counts as lost when no message has ended for --timeout. Exit code 1 if any
was lost or had two.

--acks, --batch-bytes, --linger and --compression stand for the settings acks,
batch.size, linger.ms and compression.type of kafka-producer-perf-test.`,
		Example: `  msgctl load --channel sms --messages 1000000
  msgctl load --channel sms --lane bulk --messages 1000000
  msgctl load --channel email --duration 1h --rate 500 --size 20000 --await
  msgctl load --channel sms --messages 100000 --await --timeout 2m --output json
  msgctl load --channel sms --keys none --acks 1 --batch-bytes 16384 --linger 5ms`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) },
	}
	f.bind(cmd)
	return cmd
}

func (f *loadFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	channelFlag(cmd, &f.channel, "email")
	f.destination.bind(cmd)
	flags.Uint64Var(&f.Messages, "messages", 0, "how many to produce (default: 100000 without --duration)")
	flags.DurationVar(&f.Duration, "duration", 0, "how long to produce")
	flags.Float64Var(&f.Rate, "rate", 0, "messages a second; 0 means as fast as it goes")
	flags.IntVar(&f.Size, "size", 300, "bytes of a request (without this flag more, if the scenario needs them)")
	flags.StringVar(&f.keys, "keys", "message-id", "message-id, or none: records without a key fill one batch after another")
	flags.StringVar(&f.scenario, "scenario", "success", "what the mock provider does; one of those that are valid requests")
	flags.StringVar(&f.Acks, "acks", "all", "all, 1 or 0")
	flags.IntVar(&f.BatchBytes, "batch-bytes", 1_000_000, "the most that a batch of one partition may have")
	flags.DurationVar(&f.Linger, "linger", 5*time.Millisecond, "how long a batch waits to be filled")
	flags.StringVar(&f.Compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	flags.BoolVar(&f.Await, "await", false, "follow every message to its end")
	flags.DurationVar(&f.Timeout, "timeout", time.Minute, "with --await: a message without a final event is lost when none has ended for this long")
	complete(cmd, "scenario", scenarioNames(ops.Scenario.Valid))
	complete(cmd, "keys", []string{"message-id", "none"})
	complete(cmd, "acks", []string{"all", "1", "0"})
	complete(cmd, "compression", []string{"none", "gzip", "snappy", "lz4", "zstd"})
}

// options checks the flags against the channel's settings.
func (f *loadFlags) options(cmd *cobra.Command, c *config.Config) (load.Options, error) {
	o := f.Options
	o.Channel, o.Body, o.NoKeys = models.Channel(c.Channel), bodyLimit(c), f.keys == "none"
	if o.Messages == 0 && o.Duration == 0 {
		o.Messages = defaultLoad
	}
	if !slices.Contains([]string{"message-id", "none"}, f.keys) {
		return o, usageError{fmt.Errorf("--keys is message-id or none, not %q", f.keys)}
	}
	if !slices.Contains([]string{"none", "gzip", "snappy", "lz4", "zstd"}, f.Compression) {
		return o, usageError{fmt.Errorf("--compression is none, gzip, snappy, lz4 or zstd, not %q", f.Compression)}
	}
	scenario, err := ops.ScenarioNamed(f.scenario)
	if err != nil {
		return o, usageError{err}
	}
	if o.Meta = scenario.Meta; !scenario.Valid() {
		return o, usageError{fmt.Errorf("--scenario %s makes no valid request; msgctl produce makes them", f.scenario)}
	}
	if !cmd.Flags().Changed("size") {
		least, err := o.Least()
		if err != nil {
			return o, usageError{err}
		}
		o.Size = max(o.Size, least)
	}
	if err := checkLoad(&o); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// checkLoad returns all that is wrong with the flags' numbers.
func checkLoad(o *load.Options) error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	check(o.Messages > 0 || o.Duration > 0, "give --messages, --duration or both")
	check(o.Messages <= load.MaxMessages, "--messages is at most %d", uint64(load.MaxMessages))
	check(o.Rate >= 0, "--rate must not be negative")
	check(o.Acks == "all" || o.Acks == "1" || o.Acks == "0", "--acks is all, 1 or 0, not %q", o.Acks)
	check(o.BatchBytes >= 512 && o.BatchBytes <= 1<<30, "--batch-bytes is 512 to %d", 1<<30)
	check(o.Linger >= 0 && o.Linger <= time.Minute, "--linger is 0 to 1m")
	check(!o.Await || o.Timeout > 0, "--timeout must be above 0")
	if err := o.Check(); err != nil {
		wrong = append(wrong, fmt.Errorf("--size: %w", err))
	}
	check(o.Size < o.BatchBytes-128, "--size %d does not fit into --batch-bytes %d", o.Size, o.BatchBytes)
	return errors.Join(wrong...)
}

// bodyLimit is the most that body.content of a channel's requests may have.
func bodyLimit(c *config.Config) int {
	switch models.Channel(c.Channel) {
	case models.Email:
		return c.Limits.BodyBytes
	case models.SMS:
		return c.Limits.SMSBodyRunes
	default:
		return c.Limits.WhatsAppBodyBytes
	}
}

func (f *loadFlags) run(cmd *cobra.Command, s *session) error {
	c, err := f.settings(s, f.channel)
	if err != nil {
		return err
	}
	o, err := f.options(cmd, c)
	if err != nil {
		return err
	}
	o.Progress = loadProgress(cmd, o)
	r, err := load.Run(cmd.Context(), c, o)
	if r == nil {
		return err
	}
	if err := s.print(cmd, r, func(w io.Writer) { writeLoad(w, r) }); err != nil {
		return err
	}
	switch {
	case err != nil:
		return err
	case r.Interrupted:
		return cmd.Context().Err()
	case !r.Outcome.Whole():
		return errNo
	}
	return nil
}

// loadProgress returns what draws the bars: one while messages are produced,
// and with --await one while they come to their ends.
func loadProgress(cmd *cobra.Command, o load.Options) func(load.Progress) {
	total := int64(-1)
	if o.Messages > 0 {
		total = int64(o.Messages) //nolint:gosec // checkLoad bounds it
	}
	bar, awaiting := newProgress(cmd, "produce", total), false
	return func(p load.Progress) {
		done := p.Acked
		if o.Await && p.Produced {
			done = p.Ended
			if !awaiting {
				awaiting = true
				_ = bar.Finish()
				bar = newProgress(cmd, "await", int64(p.Acked)) //nolint:gosec // as above
			}
		}
		_ = bar.Set64(int64(done)) //nolint:gosec // as above
	}
}

func writeLoad(w io.Writer, r *load.Report) {
	fmt.Fprintf(w, "%d requests of %d bytes on %s in %.1f s: %.0f a second, %.1f MiB/s\n",
		r.Messages, r.MessageSize, r.Topic, r.Seconds, r.PerSecond, r.MiBPerSec)
	if r.Interrupted {
		fmt.Fprintln(w, "interrupted: this is what was done until then")
	}
	if r.Failed > 0 {
		fmt.Fprintf(w, "%d requests were not acknowledged\n", r.Failed)
	}
	fmt.Fprintln(w, "ms\tp50\tp95\tp99\tmax")
	writeLatency(w, "acknowledged", r.Latency)
	if e := r.Outcome; e != nil {
		writeLatency(w, "sent or failed", e.Latency)
		fmt.Fprintf(w, "%s, after %.1f s\n", e, e.Seconds)
		for _, id := range e.LostIDs {
			fmt.Fprintf(w, "without a final event: %s\n", id)
		}
	}
}

func writeLatency(w io.Writer, name string, l load.Latency) {
	fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f\n", name, l.P50, l.P95, l.P99, l.Max)
}
