package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/control"
)

// resumeFlags say which orders are lifted.
type resumeFlags struct {
	scopeFlags

	rate, cancel, all bool
	reason, by        string
}

func resumeCommand(s *session) *cobra.Command {
	f := &resumeFlags{}
	cmd := &cobra.Command{
		Use:   "resume [MESSAGE_ID]",
		Short: "Lift orders: that of exactly this scope, or all",
		Long: `Lift the pause of exactly the scope that the flags name, or the order of another
kind: --rate, --cancel. A pause of the channel stays in force when that of a
tenant is lifted, and the other way round. --all lifts everything that is in
force, with --channel what is about that channel alone.

Exit code 1 where there is no such order; what is in force is told then.`,
		Example: `  msgctl resume --channel sms --tenant acme
  msgctl resume --rate --channel sms
  msgctl resume --cancel 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3
  msgctl resume --all --reason "the incident is over"`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.message(args); err != nil {
				return err
			}
			return f.run(cmd, s)
		},
	}
	f.bind(cmd)
	return cmd
}

func (f *resumeFlags) bind(cmd *cobra.Command) {
	f.scopeFlags.bind(cmd, "channel", "lane", "tenant", "provider", "meta")
	flags := cmd.Flags()
	flags.BoolVar(&f.rate, "rate", false, "lift a rate")
	flags.BoolVar(&f.cancel, "cancel", false, "lift a cancel: what has been canceled stays so")
	flags.BoolVar(&f.all, "all", false, "lift all orders in force")
	flags.Var(word{&f.reason, "string", nil}, "reason", "why; msgctl control history tells it")
	byFlag(cmd, &f.by)
}

// order returns the order that is to be lifted, nil for all.
func (f *resumeFlags) order() (*models.Order, error) {
	narrowed := f.rate || f.cancel || f.id+f.lane+f.tenant+f.provider+f.meta != ""
	switch {
	case f.all && narrowed:
		return nil, usageError{errors.New("--all goes with --channel alone")}
	case f.all:
		return nil, nil
	case f.rate && f.cancel:
		return nil, usageError{errors.New("--rate and --cancel do not go together")}
	case f.id != "" && !f.cancel:
		return nil, usageError{errors.New("one message can only be canceled: add --cancel")}
	case f.rate:
		return f.scopeFlags.order(models.ActionRate)
	case f.cancel:
		return f.scopeFlags.order(models.ActionCancel)
	}
	return f.scopeFlags.order(models.ActionPause)
}

func (f *resumeFlags) run(cmd *cobra.Command, s *session) error {
	wanted, err := f.order()
	if err != nil {
		return err
	}
	topic, err := s.openControl(cmd, models.Channel(f.channel))
	if err != nil {
		return err
	}
	defer topic.Close()
	log, err := topic.Read(cmd.Context())
	if err != nil {
		return err
	}
	warnUnreadable(cmd, log)
	inForce := log.InForce()
	lifted := slices.DeleteFunc(slices.Clone(inForce), func(o *models.Order) bool { return !f.lifts(wanted, o) })
	if len(lifted) == 0 {
		return noSuchOrder(wanted, inForce)
	}
	if err := topic.Lift(cmd.Context(), lifted, cmp.Or(f.by, defaultBy()), f.reason); err != nil {
		return err
	}
	return s.print(cmd, control.ViewsOf(lifted), func(w io.Writer) {
		for _, o := range lifted {
			fmt.Fprintf(w, "lifted: %s\n", orderText(o))
		}
	})
}

// lifts reports whether an order is one of those to be lifted.
func (f *resumeFlags) lifts(wanted, o *models.Order) bool {
	if wanted != nil {
		return o.Key() == wanted.Key()
	}
	return f.channel == "" || string(o.Channel) == f.channel
}

// noSuchOrder is the answer where nothing of what was asked for is in force. It
// names what is: first, and alone where there is any, what is about the same
// channel.
func noSuchOrder(wanted *models.Order, inForce []*models.Order) error {
	if wanted == nil {
		return errors.New("no order is in force")
	}
	text := fmt.Sprintf("no such order is in force: %s of %s", wanted.Action, wanted.Scope())
	near := slices.DeleteFunc(slices.Clone(inForce), func(o *models.Order) bool { return o.Channel != wanted.Channel })
	if len(near) == 0 {
		near = inForce
	}
	if len(near) == 0 {
		return errors.New(text + "; none at all is")
	}
	lines := []string{text + "; in force are"}
	for _, o := range near {
		lines = append(lines, fmt.Sprintf("  %s\n    msgctl resume %s", orderText(o), scopeArgs(o)))
	}
	return errors.New(strings.Join(lines, "\n"))
}
