package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/scan"
)

func dlqShow(s *session) *cobra.Command {
	var flags dlqFlags
	cmd := &cobra.Command{
		Use:   "show MESSAGE_ID",
		Short: "Show a message's dead letters in full, with the request",
		Example: `  msgctl dlq show 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3
  msgctl dlq show 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3 -o json | jq .original_message`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			var found []*dlq.Letter
			looked := ""
			err := flags.each(cmd, s, func(topic *scan.Topic, _ *dlq.Filter) error {
				letters, err := dlq.Find(cmd.Context(), topic, args[0])
				found = append(found, letters...)
				looked += fmt.Sprintf("\n  %s, all %d partitions", topic.Name, topic.Partitions())
				return err
			})
			if err != nil {
				return err
			}
			if len(found) == 0 {
				return fmt.Errorf("%s has no dead letter; looked in%s", args[0], looked)
			}
			return s.printFull(cmd, found)
		},
	}
	channelsFlag(cmd, &flags.channels)
	return cmd
}

// printFull prints one letter after the other: as JSON a line each.
func (s *session) printFull(cmd *cobra.Command, letters []*dlq.Letter) error {
	for i, l := range letters {
		v := l.FullView()
		if s.output == "json" {
			if err := printLine(cmd.OutOrStdout(), v); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		if err := s.print(cmd, nil, func(w io.Writer) { writeFull(w, &v) }); err != nil {
			return err
		}
	}
	return nil
}

func writeFull(w io.Writer, v *dlq.FullView) {
	written := "-"
	if !v.Time.IsZero() {
		written = v.Time.Format(timeForm)
	}
	fmt.Fprintf(w, "dead letter\t%s\nwritten\t%s\nrequest\t%s\n", v.Record, written, cmp.Or(v.Source.String(), "-"))
	fmt.Fprintf(w, "message\t%s, %s\ntenant\t%s\ntrace\t%s\n", v.MessageID, v.Channel, cmp.Or(v.TenantID, "-"), cmp.Or(v.TraceID, "-"))
	fmt.Fprintf(w, "failure\t%s after %s\nerror\t%s\n", v.FailureType, counted(v.Attempts, "attempt"), v.LastError)
	fmt.Fprintf(w, "failed\tfirst %s, last attempt %s\n", v.FirstFailedAt.Format(timeForm), v.LastAttemptAt.Format(timeForm))
	if v.Replays > 0 {
		fmt.Fprintf(w, "replays\t%d, the last in %s\n", v.Replays, v.Batch)
	}
	for _, key := range slices.Sorted(maps.Keys(v.Meta)) {
		fmt.Fprintf(w, "meta\t%s = %s\n", key, v.Meta[key])
	}
	for _, h := range v.Headers {
		fmt.Fprintf(w, "header\t%s = %s\n", h.Key, h.Value)
	}
	text := append(jsontext.Value(nil), v.Original...)
	if v.Meta[models.MetaOriginalOmitted] == "true" && string(v.Original) == `""` {
		text = jsontext.Value("omitted, too large for this topic; it lies at the request's place")
	} else if err := text.Indent(); err != nil {
		text = v.Original
	}
	fmt.Fprintf(w, "original\n%s\n", text)
}

func dlqExport(s *session) *cobra.Command {
	var flags dlqFlags
	var path string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the requests of dead letters to a file, one a line",
		Long: `Write the requests of dead letters to a file, one a line: each is the request's
own JSON with one member more, dead_letter, that tells why and where it failed.
The workers ignore that member, so that the lines can be edited and sent with
msgctl send --file. A request that was no JSON object has nothing but that
member, with its bytes in original_base64.`,
		Example: `  msgctl dlq export --channel email --since 24h --file letters.jsonl
  msgctl dlq export --type validation --file - | jq .dead_letter.last_error`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := flags.read(); err != nil { // before the file is emptied
				return err
			}
			n := 0
			write := func(w io.Writer) error {
				return flags.each(cmd, s, func(topic *scan.Topic, filter *dlq.Filter) error {
					_, err := dlq.Each(cmd.Context(), topic, filter, func(l *dlq.Letter) error {
						n++
						return l.Export(w)
					})
					return err
				})
			}
			if path == "-" {
				return write(cmd.OutOrStdout())
			}
			if err := toFile(path, write); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s written to %s\n", counted(n, "dead letter"), path)
			return nil
		},
	}
	flags.bindAll(cmd)
	cmd.Flags().StringVarP(&path, "file", "f", "-", "file to write, - for standard output")
	return cmd
}

// toFile writes a file that none but its owner may read: it has addresses.
func toFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	defer f.Close() // a no-op after the Close below
	w := bufio.NewWriter(f)
	if err := write(w); err != nil {
		return err
	}
	if err := cmp.Or(w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}
