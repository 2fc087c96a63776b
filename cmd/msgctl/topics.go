package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"messaging-worker/internal/ops/cluster"
)

func topicsCommand(s *session) *cobra.Command {
	var channels []string
	cmd := group("topics", "Create and show the topics that the workers need",
		topicsInit(s, &channels), topicsList(s, &channels))
	cmd.PersistentFlags().StringSliceVar(&channels, "channel", nil, "only these channels (default: all)")
	complete(cmd, "channel", channelNames())
	return cmd
}

func topicsInit(s *session, channels *[]string) *cobra.Command {
	var o cluster.InitOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create what is missing, raise what is too small",
		Long: `Create the request, status and dead letter topics of the channels, the control
topic and the topic of the connection check, and raise what is too small in those
that exist. It reduces nothing, so it may be run again at any time; a larger value
is kept.

The lanes high and bulk and the control topic are left out where they are not set
and the channel's request topic is.

KAFKA_TOPIC_PARTITIONS, _REPLICATION, _MIN_ISR and _RETENTION_HOURS say how.
max.message.bytes follows MSG_MAX_BYTES: a third more for dead letters, which
hold what is not JSON as base64, and room for their texts and headers. The
status topic gets as many partitions as the largest request topic of the channel
and keeps its events at least as long as any. The control topic has one partition,
is compacted after a week, and keeps orders for 40 days.

KAFKA_PRODUCER_QUOTA_BYTES is set as the quota of every client id that has none
of its own, the workers' too, for each broker.

Partitions are added only with --add-partitions: new ones take over keys of the
old ones, so that the records of a key no longer lie in one partition in order.`,
		Example: `  msgctl topics init --dry-run
  msgctl topics init --channel sms,email
  KAFKA_TOPIC_REPLICATION=3 KAFKA_TOPIC_MIN_ISR=2 msgctl topics init`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := s.allSettings(*channels)
			if err != nil {
				return err
			}
			changes, err := cluster.Init(cmd.Context(), settings, o)
			if err != nil {
				return err
			}
			for i := range changes {
				if changes[i].NeedsAddPartitions() {
					changes[i].Note += "; --add-partitions adds them"
				}
			}
			if err := s.print(cmd, changes, func(w io.Writer) { writeChanges(w, changes) }); err != nil {
				return err
			}
			if slices.ContainsFunc(changes, func(c cluster.Change) bool { return c.Result == cluster.Refused }) {
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "change nothing, say what would be done")
	cmd.Flags().BoolVar(&o.AddPartitions, "add-partitions", false, "add partitions to topics that have too few")
	return cmd
}

func writeChanges(w io.Writer, changes []cluster.Change) {
	fmt.Fprintln(w, "TOPIC\tRESULT\tSETTING\tIS\tWANTED")
	for _, c := range changes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.Topic, c.Result, cmp.Or(c.Setting, "-"), c.Is, c.Wanted)
	}
	writeNotes(w, changes)
}

// writeNotes writes each note once, with all topics that it is about.
func writeNotes(w io.Writer, changes []cluster.Change) {
	var notes []string
	topics := map[string][]string{}
	for _, c := range changes {
		if c.Note == "" {
			continue
		}
		note := strings.TrimPrefix(fmt.Sprintf("%s %s: %s", c.Setting, c.Result, c.Note), " ")
		if topics[note] == nil {
			notes = append(notes, note)
		}
		topics[note] = append(topics[note], c.Topic)
	}
	for _, note := range notes {
		fmt.Fprintf(w, "\n%s\n  %s\n", strings.Join(topics[note], ", "), note)
	}
}

func topicsList(s *session, channels *[]string) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show the topics as they are",
		Example: `  msgctl topics list --channel sms`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := s.allSettings(*channels)
			if err != nil {
				return err
			}
			list, err := cluster.List(cmd.Context(), settings)
			if err != nil {
				return err
			}
			return s.print(cmd, list, func(w io.Writer) { writeTopics(w, list) })
		},
	}
}

func writeTopics(w io.Writer, list []cluster.Listed) {
	columns := []string{"min.insync.replicas", "cleanup.policy", "retention.ms", "max.message.bytes"}
	fmt.Fprintln(w, "TOPIC\tPARTITIONS\tREPLICATION\tMIN ISR\tCLEANUP\tRETENTION MS\tMAX BYTES\tRECORDS")
	for _, t := range list {
		if t.Problem != "" {
			fmt.Fprintf(w, "%s\t-\t-\t-\t-\t-\t-\t%s\n", t.Topic, t.Problem)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d", t.Topic, t.Partitions, t.Replication)
		for _, name := range columns {
			fmt.Fprintf(w, "\t%s", cmp.Or(t.Settings[name], "-"))
		}
		records := "-"
		if t.Records >= 0 {
			records = strconv.FormatInt(t.Records, 10)
		}
		fmt.Fprintf(w, "\t%s\n", records)
	}
}
