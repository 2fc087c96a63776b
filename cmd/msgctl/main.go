// Command msgctl is the command-line tool for running, feeding, watching and
// repairing the workers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"messaging-worker/internal/app"
	"messaging-worker/internal/config"
	"messaging-worker/internal/ops/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// From the first signal on, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	err := root().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil || err.Error() == "":
	case interrupted && errors.Is(err, context.Canceled) && !fault.Is(err, fault.NotKnown):
		fmt.Fprintln(os.Stderr, "msgctl: interrupted")
	default:
		fmt.Fprintln(os.Stderr, "msgctl:", inWords(err))
	}
	os.Exit(exitCode(err, interrupted))
}

func root() *cobra.Command {
	s := &session{}
	cmd := &cobra.Command{
		Use:   "msgctl",
		Short: "Run, feed, watch and mend the Messaging Worker Service",
		Long: `Tools for those who operate or develop the workers. msgctl reads the workers'
settings: from the environment, and what is not set there from .env or from the
file of --env-file. Topics that are not set are messages.CHANNEL.request,
.request.high, .request.bulk, .status and .dlq, and messages.control.

Exit codes: 0 done; 1 the command failed, or what it checked is not in order;
2 wrong command line or settings; 130 interrupted.`,
		Version:           app.Version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.NoArgs,
		PersistentPreRunE: s.check,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	s.bind(cmd)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	cmd.AddCommand(
		send(s), validate(s), produce(s), loadCommand(s), // feed
		group("status", "See what becomes of messages", statusFollow(s), statusShow(s)), // watch and mend
		group("dlq", "List dead letters, and send their requests again",
			dlqList(s), dlqShow(s), dlqExport(s), dlqStats(s), dlqReplay(s)),
		pauseCommand(s), resumeCommand(s), rateCommand(s), cancelCommand(s), // in an incident
		group("control", "Show orders: pauses, rates and cancels", controlList(s), controlHistory(s)),
		explainCommand(s),
		topicsCommand(s), checkCommand(s), // set up
		group("config", "Check and show the settings of the workers", configCheck(s), configPrint(s)),
		devCommand(), fakeProvider(), // try
	)
	asUsage(cmd)
	return cmd
}

// group returns a command that does nothing itself.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// asUsage has wrong arguments of every command end as a wrong command line.
func asUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		asUsage(sub)
	}
}

// The exit codes of msgctl.
const (
	exitFailed      = 1   // what was asked for did not succeed, or its answer is no
	exitUsage       = 2   // the command line or the settings are wrong: nothing was done
	exitInterrupted = 130 // Ctrl-C: 128 and the signal's number, as shells have it
)

// usageError is a command line that cannot be obeyed.
type usageError struct{ error }

// errNo ends a command whose answer, already printed, is no.
var errNo = errors.New("")

// exitCode returns the code that an error ends the process with.
func exitCode(err error, interrupted bool) int {
	_, wrongSettings := errors.AsType[*config.Error](err)
	_, wrongUsage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return 0
	case interrupted:
		return exitInterrupted
	case wrongSettings || wrongUsage:
		return exitUsage
	}
	return exitFailed
}
