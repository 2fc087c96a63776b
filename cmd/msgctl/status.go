package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/scan"
	"messaging-worker/internal/ops/timeline"
)

func statusTopic(c *config.Config) string { return c.Kafka.StatusTopic }

// channelsFlag adds --channel, which may be repeated.
func channelsFlag(cmd *cobra.Command, channels *[]string) {
	cmd.Flags().StringSliceVar(channels, "channel", nil, "email, sms or whatsapp; may be repeated (default: all whose topics exist)")
	complete(cmd, "channel", channelNames())
}

func statusFollow(s *session) *cobra.Command {
	var channels []string
	var id string
	var fromStart bool
	cmd := &cobra.Command{
		Use:   "follow",
		Short: "Print status events as they come, until Ctrl-C",
		Example: `  msgctl status follow
  msgctl status follow --channel sms --from-start
  msgctl status follow --message-id 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3
  msgctl status follow -o json | jq 'select(.event_type == "failed")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources, err := s.open(cmd.Context(), channels, statusTopic)
			if err != nil {
				return err
			}
			defer sources.Close()
			for e, err := range timeline.Follow(cmd.Context(), sources, fromStart, id) {
				if err == nil {
					err = s.printEvent(cmd.OutOrStdout(), &e)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	channelsFlag(cmd, &channels)
	cmd.Flags().StringVar(&id, "message-id", "", "only this message's events")
	cmd.Flags().BoolVar(&fromStart, "from-start", false, "begin with the oldest events")
	return cmd
}

func (s *session) printEvent(w io.Writer, e *timeline.Event) error {
	if s.output == "json" {
		return printLine(w, e)
	}
	lane := ""
	if e.Lane != "" {
		lane = fmt.Sprintf("  %-6s", e.Lane)
	}
	_, err := fmt.Fprintf(w, "%s  %-8s%s  %-36s  %-7s %d  %s\n",
		e.Timestamp.Format(timeForm), e.Channel, lane, e.MessageID, e.EventType, e.Attempt, details(e))
	return err
}

// timeForm is RFC 3339 in UTC with milliseconds, always of one width.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

// details formats the rest of an event in a line.
func details(e *timeline.Event) string {
	parts := []string{e.Error}
	if r := e.ProviderResponse; r != nil {
		status := r.Status
		if r.Code != 0 {
			status += fmt.Sprintf(" %d", r.Code)
		}
		parts = append(parts, status, r.Message)
		if at := r.Meta[models.MetaNextAttemptAt]; at != "" {
			parts = append(parts, "next attempt "+at)
		}
		if open := r.Meta[models.MetaOpenRecipients]; open != "" {
			parts = append(parts, "open "+open)
		}
		if accepted := r.Meta[models.MetaAcceptedRecipients]; accepted != "" {
			parts = append(parts, "sent to "+accepted)
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), " | ")
}

func statusShow(s *session) *cobra.Command {
	var channels []string
	var since string
	var all bool
	cmd := &cobra.Command{
		Use:   "show MESSAGE_ID",
		Short: "Tell the whole life of one message",
		Long: `Tell the whole life of one message: its events with the time between them, its
attempts and waits, its dead letter, and as the last line where it stands, such as

  stands: waits for attempt 2, due at 2025-10-16T09:35:47Z, in 12s

It is looked for in the partition that the Java client and franz-go give its key
(murmur2), then in the one that librdkafka does (CRC32), then in all. A message
that is not found ends with exit code 1.`,
		Example: `  msgctl status show 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3
  msgctl status show 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3 --channel sms --since 2h
  msgctl status show 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3 -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := scan.When(since, time.Now())
			if err != nil {
				return usageError{fmt.Errorf("--since: %w", err)}
			}
			sources, err := s.open(cmd.Context(), channels, statusTopic)
			if err != nil {
				return err
			}
			defer sources.Close()
			story, err := timeline.Find(cmd.Context(), sources, args[0], from, all)
			if err != nil {
				return err
			}
			return s.printStory(cmd, &story)
		},
	}
	channelsFlag(cmd, &channels)
	cmd.Flags().StringVar(&since, "since", "", "only events from then on: RFC 3339, or how long ago (2h, 7d)")
	cmd.Flags().BoolVar(&all, "all-partitions", false, "search all partitions at once: needed where producers with different partitioners used the same id")
	return cmd
}

func (s *session) printStory(cmd *cobra.Command, story *timeline.Story) error {
	v := struct {
		*timeline.Story `json:",inline"`

		Looked []string `json:"looked_in"`
	}{Story: story}
	for _, place := range story.Looked {
		v.Looked = append(v.Looked, inWords(place))
	}
	if known := len(story.Deliveries) > 0; known || s.output == "json" {
		if err := s.print(cmd, v, func(w io.Writer) { writeStory(w, story) }); err != nil || known {
			return err
		}
	}
	return errors.New(story.MessageID + " is unknown; looked in\n  " + strings.Join(v.Looked, "\n  "))
}

// writeStory writes a message's life for a person.
func writeStory(w io.Writer, s *timeline.Story) {
	fmt.Fprintf(w, "%s, %s, found by %s\n", s.MessageID, s.Channel, s.By)
	for i := range s.Deliveries {
		d := &s.Deliveries[i]
		lane := ""
		if d.Lane != "" {
			lane = ", lane " + string(d.Lane)
		}
		fmt.Fprintf(w, "\ndelivery of %s%s\n", cmp.Or(d.Source.String(), "a request whose place is not known"), lane)
		if len(d.Events) > 0 {
			fmt.Fprintln(w, "TIME\tDELTA\tEVENT\tATTEMPT\tDETAILS")
		}
		for j := range d.Events {
			e, delta := &d.Events[j], "-"
			if j > 0 {
				delta = e.Timestamp.Sub(d.Events[j-1].Timestamp).Round(time.Millisecond).String()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", e.Timestamp.Format(timeForm), delta, e.EventType, e.Attempt, details(e))
		}
		if d.Letter != nil {
			writeDeadLetter(w, d.Letter)
		}
		fmt.Fprintf(w, "stands: %s\n", d.Standing)
	}
}

func writeDeadLetter(w io.Writer, l *dlq.View) {
	fmt.Fprintf(w, "dead letter %s: %s after %s: %s\n", l.Record, l.FailureType, counted(l.Attempts, "attempt"), l.LastError)
	if failed := l.Meta[models.MetaFailedRecipients]; failed != "" {
		fmt.Fprintf(w, "  failed recipients %s\n", failed)
	}
}
