package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/scan"
)

// dlqFlags choose dead letters.
type dlqFlags struct {
	channels     []string
	since, until string
	lanes        []string
	filter       dlq.Filter
}

func (f *dlqFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "written from then on: RFC 3339, or how long ago (90m, 7d)")
	flags.StringVar(&f.until, "until", "", "written before this time; same forms as --since")
	flags.StringSliceVar(&f.filter.Types, "type", nil, "failure type: permanent, transient, validation, unknown; may be repeated")
	flags.StringSliceVar(&f.lanes, "lane", nil, "lane that the request came by: high, normal, bulk; may be repeated")
	flags.StringSliceVar(&f.filter.Tenants, "tenant", nil, "tenant id; may be repeated")
	flags.StringSliceVar(&f.filter.Codes, "code", nil, "code in the last error, as 550, 5.1.1 or 30003; may be repeated")
	flags.StringArrayVar(&f.filter.Errors, "error", nil, "part of the last error, upper or lower case; may be repeated")
	flags.StringSliceVar(&f.filter.IDs, "message-id", nil, "message id; may be repeated")
	flags.StringArrayVar(&f.filter.Meta, "meta", nil, "entry of meta, KEY=VALUE or KEY; all that are given must hold")
	complete(cmd, "type", []string{"permanent", "transient", "validation", "unknown"})
	complete(cmd, "lane", laneNames())
}

// read returns the filter that the flags mean.
func (f *dlqFlags) read() (*dlq.Filter, error) {
	var err error
	now := time.Now()
	if f.filter.Since, err = scan.When(f.since, now); err != nil {
		return nil, usageError{fmt.Errorf("--since: %w", err)}
	}
	if f.filter.Until, err = scan.When(f.until, now); err != nil {
		return nil, usageError{fmt.Errorf("--until: %w", err)}
	}
	f.filter.Lanes = nil
	for _, lane := range f.lanes {
		f.filter.Lanes = append(f.filter.Lanes, models.Lane(lane))
	}
	if err := f.filter.Check(); err != nil {
		return nil, usageError{err}
	}
	return &f.filter, nil
}

// bindAll adds --channel too, which may be repeated.
func (f *dlqFlags) bindAll(cmd *cobra.Command) {
	channelsFlag(cmd, &f.channels)
	f.bind(cmd)
}

// each calls use with each dead letter topic, and the filter that the flags mean.
func (f *dlqFlags) each(cmd *cobra.Command, s *session, use func(topic *scan.Topic, filter *dlq.Filter) error) error {
	filter, err := f.read()
	if err != nil {
		return err
	}
	opened, err := s.open(cmd.Context(), f.channels, func(c *config.Config) string { return c.Kafka.DLQTopic })
	if err != nil {
		return err
	}
	defer opened.Close()
	for i, topic := range opened.Topics {
		filter.ByTopic = ops.LanesOf(opened.Settings[i])
		if err := use(topic, filter); err != nil {
			return err
		}
	}
	return nil
}

func dlqList(s *session) *cobra.Command {
	var flags dlqFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, the newest last",
		Example: `  msgctl dlq list --channel sms --since 2h
  msgctl dlq list --type permanent --code 30003 --limit 0
  msgctl dlq list --tenant acme --error "mailbox full" -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usageError{fmt.Errorf("--limit is 0 (all) or more, not %d", limit)}
			}
			var all dlq.Listing
			err := flags.each(cmd, s, func(topic *scan.Topic, filter *dlq.Filter) error {
				return all.Add(cmd.Context(), topic, filter, limit)
			})
			if err != nil {
				return err
			}
			return s.printLetters(cmd, &all)
		},
	}
	flags.bindAll(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many of the newest; 0 shows all")
	return cmd
}

func (s *session) printLetters(cmd *cobra.Command, list *dlq.Listing) error {
	if s.output == "json" {
		for _, l := range list.Letters {
			if err := printLine(cmd.OutOrStdout(), l.View); err != nil {
				return err
			}
		}
		return nil
	}
	err := s.print(cmd, nil, func(w io.Writer) {
		fmt.Fprintln(w, "TIME\tCHANNEL\tTYPE\tATTEMPTS\tREPLAYS\tTENANT\tMESSAGE\tRECORD\tERROR")
		for _, l := range list.Letters {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", l.Timestamp.Format(timeForm), l.Channel, l.FailureType,
				l.Attempts, l.Replays, cmp.Or(l.TenantID, "-"), l.MessageID, l.Record, l.LastError)
		}
	})
	if n := list.Matched - len(list.Letters); n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s not shown, the older ones; --limit 0 shows all\n", counted(n, "dead letter"))
	}
	if list.Foreign > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "left out, since they are no dead letters: %s\n", counted(list.Foreign, "record"))
	}
	return err
}

func dlqStats(s *session) *cobra.Command {
	var flags dlqFlags
	var top int
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count dead letters by failure type, lane, tenant, error and hour",
		Example: `  msgctl dlq stats --since 24h
  msgctl dlq stats --channel email --lane bulk
  msgctl dlq stats --channel email --tenant acme -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var stats dlq.Stats
			err := flags.each(cmd, s, func(topic *scan.Topic, filter *dlq.Filter) error {
				_, err := dlq.Each(cmd.Context(), topic, filter, func(l *dlq.Letter) error {
					stats.Add(l, filter.ByTopic.Of(l.Source.Topic))
					return nil
				})
				return err
			})
			if err != nil {
				return err
			}
			v := stats.View(top)
			return s.print(cmd, v, func(w io.Writer) { writeStats(w, &v) })
		},
	}
	flags.bindAll(cmd)
	cmd.Flags().IntVar(&top, "top", 10, "show at most this many of the most frequent tenants and errors; 0 shows all")
	return cmd
}

func writeStats(w io.Writer, v *dlq.StatsView) {
	fmt.Fprintf(w, "%s\n", counted(v.Total, "dead letter"))
	for _, table := range []struct {
		title  string
		counts []dlq.Count
	}{{"TYPE", v.ByType}, {"LANE", v.ByLane}, {"TENANT", v.ByTenant}, {"ERROR", v.ByError}, {"HOUR", v.ByHour}} {
		if len(table.counts) == 0 {
			continue
		}
		fmt.Fprintf(w, "\nCOUNT\t%s\n", table.title)
		for _, c := range table.counts {
			fmt.Fprintf(w, "%d\t%s\n", c.Count, cmp.Or(c.Name, "-"))
		}
	}
}

// writeReasons writes a line for each reason and its count, after the word.
func writeReasons(w io.Writer, word string, counts map[dlq.Reason]int) {
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%s\t%d\t%s\n", word, counts[reason], reason)
	}
}
