// Command msgctl is what a person does by hand around the workers.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"messaging-worker/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// From the first signal on, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "msgctl:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "msgctl",
		Short:         "Run and watch the Messaging Worker Service",
		Version:       app.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.AddCommand(dev(), explainCommand(), fakeProvider())
	return cmd
}
