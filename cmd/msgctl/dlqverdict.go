package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"messaging-worker/internal/ops/dlq"
)

// printDecision prints a verdict: each one as JSON, in a table every one of a dry
// run and else only what was refused.
func (s *session) printDecision(cmd *cobra.Command, v *dlq.Verdict, dryRun bool) error {
	if s.output == "json" {
		one := *v
		one.Reason = reasonText(v.Reason)
		return printLine(cmd.OutOrStdout(), &one)
	}
	if !dryRun && v.Outcome != dlq.Refused {
		return nil
	}
	text := string(v.Outcome)
	switch {
	case v.Outcome != dlq.Replayed:
		text += ": " + string(reasonText(v.Reason))
	case v.Narrowed > 0:
		text = fmt.Sprintf("would be replayed as number %d, narrowed to %s", v.Count, counted(v.Narrowed, "recipient"))
	default:
		text = fmt.Sprintf("would be replayed as number %d", v.Count)
	}
	if v.Topic != "" {
		text += ", to " + v.Topic
	}
	if v.Outcome == dlq.Replayed && v.Expiring {
		text += ", and expire at once"
	}
	if len(v.Details) > 0 {
		text += ": " + strings.Join(v.Details, "; ")
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", v.MessageID, text)
	return err
}

func (s *session) printSummary(cmd *cobra.Command, sum *dlq.Summary, dryRun bool) error {
	refused := map[dlq.Reason]int{}
	for reason, n := range sum.Refused {
		refused[reasonText(reason)] = n
	}
	sum.Refused = refused
	if s.output == "json" {
		return printLine(cmd.OutOrStdout(), map[string]*dlq.Summary{"summary": sum})
	}
	word := "replayed"
	if dryRun {
		word = "would be replayed"
	}
	err := s.print(cmd, nil, func(w io.Writer) {
		fmt.Fprintf(w, "batch\t\t%s\n", sum.Group)
		fmt.Fprintf(w, "letters\t%d\t\n%s\t%d\t\n", sum.Letters, word, sum.Replayed)
		fmt.Fprintf(w, "narrowed\t%d\tof these, to the recipients that did not get it\n", sum.Narrowed)
		writeReasons(w, "skipped", sum.Skipped)
		writeReasons(w, "refused", sum.Refused)
	})
	if sum.Expiring > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %d are older than MESSAGE_MAX_AGE_SECONDS and expire at once; --set created_at=… makes them young\n", sum.Expiring)
	}
	return err
}
