package main

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/dev"
	"messaging-worker/internal/logger"
)

// onceMessages is the default of --messages with --once: every scenario on every
// channel, twice.
const onceMessages = 78

func devCommand() *cobra.Command {
	var o dev.Options
	var logLevel string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run an embedded broker, the three workers and sample traffic in one process",
		Long: `Run everything on this machine, with nothing to install: an embedded Kafka
broker on a loopback port, its topics, the email, SMS and WhatsApp workers with
mock providers, and sample requests of every scenario on every lane. What happens
to each message is printed as it happens, and a summary by channel and lane at the
end. Some requests fail on purpose: the logged panics belong to the scenario
panic. One tenant's SMS are paused by an order, for ten minutes or until msgctl
resume lifts it; with --once for three seconds.`,
		Example: `  msgctl dev                          # until Ctrl-C
  msgctl dev --once                   # every scenario twice, then the summary
  msgctl dev --once --messages 1000 --rate 200
  msgctl dev --data-dir ./data        # keep the topics between runs`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !(o.Rate > 0 && o.Rate <= 100000) {
				return usageError{errors.New("--rate must be above 0 and at most 100000")}
			}
			if o.Messages < 0 {
				return usageError{errors.New("--messages must not be negative")}
			}
			if o.Port < 0 || o.Port > math.MaxUint16 {
				return usageError{fmt.Errorf("--port is 0 to %d, not %d", math.MaxUint16, o.Port)}
			}
			if o.Once && o.Messages == 0 {
				o.Messages = onceMessages
			}
			var err error
			if o.Log, err = logger.New(cmd.ErrOrStderr(), "development", logLevel); err != nil {
				return &config.Error{Problems: []string{"--log-level: " + err.Error()}}
			}
			o.Out, o.Colour = cmd.OutOrStdout(), logger.Colour(os.Stdout)
			return dev.Run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Once, "once", false, "end when all traffic has its outcome")
	flags.IntVar(&o.Messages, "messages", 0, "how many sample requests to produce; 0 goes on until Ctrl-C (with --once: 78)")
	flags.Float64Var(&o.Rate, "rate", 20, "sample requests a second")
	flags.IntVar(&o.Port, "port", 19092, "loopback port of the embedded broker; 0 takes a free one")
	flags.StringVar(&o.DataDir, "data-dir", "", "folder where the broker keeps its data between runs")
	flags.StringVar(&logLevel, "log-level", "error", "log level of the workers")
	return cmd
}
