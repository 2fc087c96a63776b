package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

type sendFlags struct {
	ops.Draft
	destination

	channel  models.Channel
	bodyFile string
	html     bool
	template string
	file     string
	wait     bool
	timeout  time.Duration
}

func send(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "send " + strings.Join(channelNames(), "|"),
		Short: "Send requests: from flags, a file or standard input",
		Long: `Put requests on a channel's request topic, or on that of another lane.
message_id, channel and created_at are filled in where they are absent. Every
request is checked first by the worker's own rules; where one is not valid its
violations are printed, one a line, and nothing is sent. With --wait the events of
each request are printed until it is sent, has failed or is canceled, or --timeout
is over; exit code 0 means that all were sent.

The flags of a channel: msgctl send sms --help`,
		Example: `  msgctl send sms --from +15551234567 --to +15557654321 --body "Your code is 123456" --wait
  msgctl send email --help`,
		Args: cobra.ArbitraryArgs, // of no subcommand: a wrong channel
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("send on which channel? %s CHANNEL --help tells more", cmd.CommandPath())}
			}
			return knownChannel(args[0])
		},
	}
	for _, channel := range models.Channels() {
		cmd.AddCommand(sendTo(s, channel))
	}
	return cmd
}

func sendTo(s *session, channel models.Channel) *cobra.Command {
	f := &sendFlags{channel: channel}
	cmd := &cobra.Command{
		Use:   string(channel),
		Short: "Send requests of the " + string(channel) + " channel",
		Long: `Send one request that flags describe, or those of a file: one JSON object, or
several, each of which ends its line. message_id, channel and created_at are
filled in where they are absent; nothing is sent where one request is not valid.

Exit codes: 0 acknowledged by Kafka, or with --wait sent; 1 not valid, not
acknowledged, not printed, failed, canceled, or without an outcome in time; 2 wrong
command line.`,
		Example: sendExamples(channel),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) },
	}
	f.bind(cmd)
	return cmd
}

func sendExamples(channel models.Channel) string {
	own := map[models.Channel]string{
		models.Email: `  msgctl send email --from noreply@example.com --to user@example.com --subject Welcome --body "Thanks." --wait
  msgctl send email --from noreply@example.com --to a@example.com --to b@example.com --html --body-file mail.html`,
		models.SMS: `  msgctl send sms --from +15551234567 --to +15557654321 --body "Your code is 123456" --wait`,
		models.WhatsApp: `  msgctl send whatsapp --from +15559876543 --to +15557654321 --template order_update --meta template.1=A12345
  msgctl send whatsapp --from +15559876543 --to +15557654321 --template one_time_code --meta template.1=123456 --button 0=123456
  msgctl send whatsapp --from +15559876543 --to +15557654321 --media-type image/png --body https://example.com/a.png`,
	}
	return fmt.Sprintf("%s\n  msgctl send %s --file requests.jsonl --wait --timeout 2m\n  generate | msgctl send %s --file -", own[channel], channel, channel)
}

func (f *sendFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.From, "from", "", "sender")
	flags.StringArrayVar(&f.To, "to", nil, "recipient; repeat it for several")
	flags.StringVar(&f.Body.Content, "body", "", "body.content")
	flags.StringVar(&f.bodyFile, "body-file", "", "file with body.content; - for standard input")
	switch f.channel {
	case models.Email:
		flags.StringArrayVar(&f.CC, "cc", nil, "copy; repeat it for several")
		flags.StringArrayVar(&f.BCC, "bcc", nil, "blind copy; repeat it for several")
		flags.StringVar(&f.Subject, "subject", "", "subject")
		flags.BoolVar(&f.html, "html", false, "the body is HTML")
	case models.WhatsApp:
		flags.StringVar(&f.template, "template", "", "name of a template, in the body's place")
		flags.Var(pairs{&f.Meta, "template.header.", "kind=value"}, "header", "with --template: its header; the kind is text, or with a URL image, video or document")
		flags.Var(pairs{&f.Meta, "template.button.", "index=text"}, "button", "with --template: text of a button, from 0 to 9; repeat it for several")
		flags.StringVar(&f.Body.MediaType, "media-type", "", "MIME type: the body is a URL of such a file")
	case models.SMS:
	}
	flags.Var(pairs{&f.Meta, "", "key=value"}, "meta", "entry of meta; repeat it for several")
	flags.StringVar(&f.TenantID, "tenant", "", "tenant_id")
	flags.StringVar(&f.TraceID, "trace-id", "", "trace_id")
	flags.StringVar(&f.MessageID, "id", "", "message_id (default: a new one)")
	f.destination.bind(cmd)
	flags.StringVarP(&f.file, "file", "f", "", "file with requests, JSON or JSON lines; - for standard input")
	flags.BoolVarP(&f.wait, "wait", "w", false, "follow each request to its outcome")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "with --wait: how long to wait for all outcomes")
}

// check refuses flags that do not go together.
func (f *sendFlags) check(cmd *cobra.Command) error {
	var given []string
	cmd.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && !slices.Contains([]string{"file", "wait", "timeout", "lane", "topic"}, flag.Name) {
			given = append(given, "--"+flag.Name)
		}
	})
	bodies := 0
	for _, name := range []string{"body", "body-file", "template"} {
		if cmd.Flags().Changed(name) {
			bodies++
		}
	}
	switch {
	case f.file != "" && len(given) > 0:
		return usageError{fmt.Errorf("%s and --file do not go together: the requests of a file are complete", strings.Join(given, ", "))}
	case f.file == "" && len(given) == 0:
		return usageError{fmt.Errorf("nothing to send: give --from, --to and --body, or --file; see %s --help", cmd.CommandPath())}
	case bodies > 1, f.template != "" && f.Body.MediaType != "":
		return usageError{errors.New("give one of --body, --body-file and --template; --media-type goes with a body that is a URL")}
	case f.template == "" && (cmd.Flags().Changed("header") || cmd.Flags().Changed("button")):
		return usageError{errors.New("--header and --button go with --template")}
	case f.timeout <= 0:
		return usageError{errors.New("--timeout must be above 0")}
	}
	return nil
}

func (f *sendFlags) run(cmd *cobra.Command, s *session) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	c, err := f.settings(s, string(f.channel))
	if err != nil {
		return err
	}
	requests, err := f.prepare(cmd, s, c)
	if err != nil {
		return err
	}
	o := ops.SendOptions{Wait: f.wait, Timeout: f.timeout}
	out := &printer{w: cmd.OutOrStdout()}
	if s.output != "json" {
		o.Sent = func(r *ops.Sent) {
			fmt.Fprintf(out, "%s  produced  %s/%d/%d\n", r.MessageID, r.Topic, r.Partition, r.Offset)
		}
		o.Event = func(r *ops.Sent, ev *models.StatusEvent) { fmt.Fprintln(out, eventLine(r, ev)) }
	}
	sent, err := ops.Send(cmd.Context(), c, requests, o)
	if s.output == "json" && len(sent) > 0 {
		out.err = s.print(cmd, sent, nil)
	}
	if err == nil {
		err = out.err
	}
	return f.conclude(cmd, len(requests), sent, err)
}

// eventLine tells of an event in a line.
func eventLine(r *ops.Sent, ev *models.StatusEvent) string {
	detail := ev.Error
	if detail == "" && ev.ProviderResponse != nil {
		detail = fmt.Sprintf("%s %d", ev.ProviderResponse.Status, ev.ProviderResponse.Code)
	}
	line := fmt.Sprintf("%s  %-8s  attempt %d  %s  %s", r.MessageID, ev.EventType, ev.Attempt, ev.Timestamp.Format(time.RFC3339Nano), detail)
	return strings.TrimSpace(line)
}

// conclude sums up on standard error and returns how the command ends.
func (f *sendFlags) conclude(cmd *cobra.Command, asked int, sent []*ops.Sent, err error) error {
	outcomes := map[models.EventType]int{} // by "" where there is none
	for _, r := range sent {
		outcomes[r.Outcome]++
	}
	if len(sent) > 0 && (f.wait || err != nil) {
		text := fmt.Sprintf("%d of %s produced", len(sent), counted(asked, "request"))
		if f.wait {
			text += fmt.Sprintf(": %d sent, %d failed", outcomes[models.EventSent], outcomes[models.EventFailed])
			if n := outcomes[models.EventCanceled]; n > 0 {
				text += fmt.Sprintf(", %d canceled", n)
			}
			text += fmt.Sprintf(", %d without an outcome", outcomes[""])
		}
		fmt.Fprintln(cmd.ErrOrStderr(), text)
	}
	switch {
	case errors.Is(err, ops.ErrNoOutcome):
		asked := fmt.Sprintf("does the %s worker run", f.channel)
		if f.lane != string(models.LaneNormal) {
			asked += " with the lane " + f.lane
		}
		return fmt.Errorf("%w: within %s; %s? --timeout waits longer", err, f.timeout, asked)
	case err != nil:
		return err
	case outcomes[models.EventFailed]+outcomes[models.EventCanceled] > 0:
		return errNo
	}
	return nil
}
