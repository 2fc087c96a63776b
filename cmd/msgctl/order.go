package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/user"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/control"
	"messaging-worker/internal/ops/scan"
)

// orderFlags are those of a command that gives an order.
type orderFlags struct {
	scopeFlags

	perSecond  float64
	lasting    string
	reason, by string
}

// bind adds the flags that every order has, and those of its scope.
func (f *orderFlags) bind(cmd *cobra.Command, scope ...string) {
	f.scopeFlags.bind(cmd, scope...)
	cmd.Flags().Var(word{&f.lasting, "duration", nil}, "for", "how long it holds, at most 30d: a Go duration, or days (90m, 36h, 7d)")
	cmd.Flags().Var(word{&f.reason, "string", nil}, "reason", "why; workers and msgctl control tell it (required)")
	byFlag(cmd, &f.by)
}

func byFlag(cmd *cobra.Command, dst *string) {
	cmd.Flags().Var(word{dst, "string", nil}, "by", "who gives the order (default: user@host)")
}

// defaultBy names the user and the host.
func defaultBy() string {
	name, host := os.Getenv("USER"), "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return strings.ToValidUTF8(name+"@"+host, "?")
}

// order returns the order that the flags mean, but for its times, and how long
// it lasts.
func (f *orderFlags) order(action models.Action) (*models.Order, time.Duration, error) {
	o, err := f.scopeFlags.order(action)
	if err != nil {
		return nil, 0, err
	}
	lasting := models.MaxOrder
	switch {
	case f.lasting != "":
		if lasting, err = scan.Duration(f.lasting); err != nil {
			return nil, 0, usageError{fmt.Errorf("--for: %w", err)}
		}
	case o.MessageID == "":
		return nil, 0, usageError{errors.New("--for is required: how long the order holds, at most 30d")}
	}
	if lasting <= 0 || lasting > models.MaxOrder {
		return nil, 0, usageError{fmt.Errorf("--for is above 0 and at most 30d, not %s", f.lasting)}
	}
	if f.reason == "" {
		return nil, 0, usageError{errors.New("--reason is required: whoever meets the order wants to know why")}
	}
	if action == models.ActionRate && (!(f.perSecond > 0) || math.IsInf(f.perSecond, 0)) {
		return nil, 0, usageError{errors.New("--per-second is required, and above 0")}
	}
	o.PerSecond, o.Reason, o.By = f.perSecond, f.reason, cmp.Or(f.by, defaultBy())
	return o, lasting, nil
}

// giveCommand makes a command that gives an order of that kind.
func giveCommand(s *session, f *orderFlags, action models.Action, cmd *cobra.Command, scope ...string) *cobra.Command {
	f.bind(cmd, scope...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.message(args); err != nil {
			return err
		}
		o, lasting, err := f.order(action)
		if err != nil {
			return err
		}
		topic, err := s.openControl(cmd, o.Channel)
		if err != nil {
			return err
		}
		defer topic.Close()
		if !topic.Named {
			fmt.Fprintf(cmd.ErrOrStderr(), "msgctl: warning: KAFKA_CONTROL_TOPIC is not set here; only workers for which it is %s obey\n", topic.Name)
		}
		if err := topic.Give(cmd.Context(), o, lasting); err != nil {
			return err
		}
		return s.print(cmd, control.ViewOf(o), func(w io.Writer) {
			fmt.Fprintf(w, "in force: %s\nit ends by itself, or by: msgctl resume %s\n", orderText(o), scopeArgs(o))
		})
	}
	return cmd
}

func pauseCommand(s *session) *cobra.Command {
	return giveCommand(s, &orderFlags{}, models.ActionPause, &cobra.Command{
		Use:   "pause",
		Short: "Start no more attempts for a while: of a channel, lane, tenant, provider or campaign",
		Long: `Have the workers start no more attempts of the messages that the flags name.
Calls under way end. Messages wait and spend nothing; what grows older than
MESSAGE_MAX_AGE_SECONDS meanwhile expires. Within two seconds of this command's
return it holds on every worker that reads the control topic; it ends by itself
after --for, or by msgctl resume.

Of --tenant, --provider and --meta at most one. A second pause of the same scope
takes the first one's place.`,
		Example: `  msgctl pause --channel sms --for 30m --reason "wrong prices in the campaign"
  msgctl pause --channel email --lane bulk --for 2h --reason INC-1234
  msgctl pause --channel sms --tenant acme --for 1d --reason "asked by acme"
  msgctl pause --channel email --meta campaign=spring --for 6h --reason "wrong link"`,
		Args: cobra.NoArgs,
	}, "channel", "lane", "tenant", "provider", "meta")
}

func rateCommand(s *session) *cobra.Command {
	f := &orderFlags{}
	cmd := giveCommand(s, f, models.ActionRate, &cobra.Command{
		Use:   "rate",
		Short: "Set the rate of a channel or a provider for a while",
		Long: `Replace GROUP_RATE_PER_SECOND for a while: the provider calls that all workers of
the channel together start in a second, over all lanes. Without --provider it is
the rate of each provider.`,
		Example: `  msgctl rate --channel sms --per-second 20 --for 2h --reason "the provider asked for it"`,
		Args:    cobra.NoArgs,
	}, "channel", "provider")
	cmd.Flags().Float64Var(&f.perSecond, "per-second", 0, "calls a second, above 0 (required)")
	return cmd
}

func cancelCommand(s *session) *cobra.Command {
	return giveCommand(s, &orderFlags{}, models.ActionCancel, &cobra.Command{
		Use:   "cancel [MESSAGE_ID]",
		Short: "End messages without sending them: one, or all of a scope",
		Long: `End messages that have not ended: one by its id, on whatever channel and lane, or
all of a scope. They get the final event canceled and no dead letter. A message
whose call is under way is canceled only if that call fails. Messages of the scope
that come while the order is in force are canceled too: for an id that is 30 days
unless --for is given.

What is canceled stays so: lifting the order brings nothing back.
msgctl resume --cancel with the same scope lets later messages go again.`,
		Example: `  msgctl cancel 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3 --reason "sent by mistake"
  msgctl cancel --channel email --meta campaign=spring --for 1d --reason "wrong campaign"
  msgctl cancel --channel sms --lane bulk --tenant acme --for 2h --reason INC-1234`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}, "channel", "lane", "tenant", "meta")
}

// openControl opens the control topic, by the settings of a channel or, for what
// is about all, of the first.
func (s *session) openControl(cmd *cobra.Command, channel models.Channel) (*control.Topic, error) {
	if channel == "" {
		channel = models.Channels()[0]
	}
	c, err := s.settings(string(channel))
	if err != nil {
		return nil, err
	}
	return control.Open(cmd.Context(), c)
}

// orderText tells an order in a line.
func orderText(o *models.Order) string {
	return fmt.Sprintf("%s of %s until %s (in %s), by %s: %s",
		actionText(o.Action, o.PerSecond), o.Scope(), o.Until.Format(time.RFC3339), time.Until(o.Until).Round(time.Second), oneLine(o.By), oneLine(o.Reason))
}

// oneLine replaces what a terminal would obey in a text that anybody may have
// written.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
