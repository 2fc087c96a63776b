package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/control"
	"messaging-worker/internal/ops/scan"
)

func controlList(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the orders in force",
		Example: `  msgctl control list
  msgctl control list -o json | jq '.[] | select(.channel == "sms")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := s.readControl(cmd)
			if err != nil {
				return err
			}
			views := control.ViewsOf(log.InForce())
			return s.print(cmd, views, func(w io.Writer) { writeOrders(w, views) })
		},
	}
}

func writeOrders(w io.Writer, views []control.View) {
	if len(views) == 0 {
		fmt.Fprintln(w, "no order is in force")
		return
	}
	fmt.Fprintln(w, "ACTION\tSCOPE\tUNTIL\tLEFT\tBY\tAT\tREASON")
	for i := range views {
		o := &views[i].Order
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", actionText(o.Action, o.PerSecond), views[i].Scope, o.Until.Format(time.RFC3339),
			time.Until(o.Until).Round(time.Second), oneLine(o.By), o.At.Format(time.RFC3339), oneLine(o.Reason))
	}
}

func controlHistory(s *session) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Tell who ordered what, when and why",
		Long: `Tell who gave and lifted which orders, when and why, the oldest first. The topic
keeps everything for seven days; older than that, and up to forty days, only the
last of each kind and scope is sure to be there.`,
		Example: `  msgctl control history
  msgctl control history --since 2d -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := scan.When(since, time.Now())
			if err != nil {
				return usageError{fmt.Errorf("--since: %w", err)}
			}
			log, err := s.readControl(cmd)
			if err != nil {
				return err
			}
			entries := slices.DeleteFunc(append([]control.Entry{}, log.Entries...), func(e control.Entry) bool { return e.At.Before(from) })
			return s.print(cmd, entries, func(w io.Writer) { writeHistory(w, entries) })
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "only from then on: RFC 3339, or how long ago (90m, 7d)")
	return cmd
}

func writeHistory(w io.Writer, entries []control.Entry) {
	fmt.Fprintln(w, "AT\tBY\tWHAT\tSCOPE\tUNTIL\tIN FORCE\tREASON")
	for i := range entries {
		e := &entries[i]
		what, until, inForce := actionText(e.Action, e.PerSecond), e.Until.Format(time.RFC3339), "no"
		if e.Kind == control.Lifted {
			what, until, inForce = oneLine(string(e.Action))+" lifted", "-", "-"
		}
		if e.InForce {
			inForce = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.At.Format(time.RFC3339), cmp.Or(oneLine(e.By), "-"), what, oneLine(e.Scope), until,
			inForce, cmp.Or(oneLine(e.Reason), "-"))
	}
}

// actionText names what an order does.
func actionText(action models.Action, perSecond float64) string {
	if action == models.ActionRate {
		return fmt.Sprintf("rate %v/s", perSecond)
	}
	return string(action)
}

// readControl reads the control topic, and tells what in it cannot be read.
func (s *session) readControl(cmd *cobra.Command) (*control.Log, error) {
	topic, err := s.openControl(cmd, "")
	if err != nil {
		return nil, err
	}
	defer topic.Close()
	log, err := topic.Read(cmd.Context())
	if err != nil {
		return nil, err
	}
	warnUnreadable(cmd, log)
	return log, nil
}

func warnUnreadable(cmd *cobra.Command, log *control.Log) {
	for _, err := range log.Unreadable {
		fmt.Fprintln(cmd.ErrOrStderr(), "msgctl: warning: left out, and skipped by workers too:", oneLine(err.Error()))
	}
}
