package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"messaging-worker/internal/logger"
	"messaging-worker/internal/ops/cluster"
	"messaging-worker/internal/preflight"
)

func checkCommand(s *session) *cobra.Command {
	var channels []string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check everything that the workers need, and say what to do about it",
		Long: `Check what workers of these settings need: the connection, with a record that
goes to KAFKA_TEMP_TOPIC and back; that the topics of all lanes are there, with
room for the largest records, replicas in sync and a status topic that keeps its
events; the control topic; the permissions and the consumer groups; the settings;
and the provider, by the probe that a worker makes, which sends nothing. Lanes and
control topic are looked at where they are set or exist.

Each check is ok, warn (it works, and could be better), FAIL or skipped. All
checks are made even if one fails. Exit code 1 when one has failed.`,
		Example: `  msgctl check
  msgctl check --channel sms --brokers kafka-1:9092
  msgctl check --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lookup, err := s.lookup()
			if err != nil {
				return err
			}
			settings, err := s.allSettings(channels)
			if err != nil {
				return err
			}
			findings := preflight.Run(cmd.Context(), lookup, settings)
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			var views []findingView
			for _, f := range findings {
				views = append(views, findingView{f, adviceText(f.Advice)})
			}
			if err := s.print(cmd, views, func(w io.Writer) { writeFindings(w, views, logger.Colour(os.Stdout)) }); err != nil {
				return err
			}
			if slices.ContainsFunc(findings, func(f cluster.Finding) bool { return f.Verdict == cluster.Fail }) {
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&channels, "channel", nil, "only these channels (default: all)")
	complete(cmd, "channel", channelNames())
	return cmd
}

// findingView is a finding as JSON, with its advice in words.
type findingView struct {
	cluster.Finding `json:",inline"`

	Advice string `json:"advice,omitzero"`
}

func writeFindings(w io.Writer, findings []findingView, colours bool) {
	paint := func(code int, text string) string {
		if !colours {
			return text
		}
		return fmt.Sprintf("\x1b[%02dm%s\x1b[0m", code, text) // all of one length, or columns would not align
	}
	codes := map[cluster.Verdict]int{cluster.OK: 32, cluster.Warn: 33, cluster.Fail: 31, cluster.Skipped: 90}
	fmt.Fprintf(w, "%s\tCHANNEL\tCHECK\tSEEN\n", paint(1, "VERDICT"))
	for _, f := range findings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", paint(codes[f.Verdict], string(f.Verdict)), cmp.Or(f.Channel, "-"), f.Check, f.Seen)
		if f.Advice != "" {
			fmt.Fprintf(w, "%s\t\t\tto do: %s\n", paint(0, ""), f.Advice)
		}
	}
}
