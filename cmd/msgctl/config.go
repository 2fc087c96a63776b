package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/preflight"
)

func configCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the settings of the workers",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(configCheck(s), configPrint(s))
	return cmd
}

// origin returns where settings come from, and warnings about the file. The
// error lists mistakes in the file; the settings can be read beside it.
func (s *session) origin() (config.Origin, []string, error) {
	origin, warnings, err := config.Origins(s.envFile)
	if origin == nil {
		return nil, nil, err
	}
	return func(name string) (string, string) {
		if name == "KAFKA_BROKERS" && s.brokers != "" {
			return s.brokers, "--brokers"
		}
		return origin(name)
	}, warnings, err
}

// channelArgs takes channels as arguments, and completes them.
func channelArgs(check cobra.PositionalArgs, cmd *cobra.Command) *cobra.Command {
	cmd.ValidArgs, cmd.Args = channelNames(), cobra.MatchAll(check, cobra.OnlyValidArgs)
	return cmd
}

// orAll returns the channels that were named, or every one.
func orAll(channels []string) []string {
	if len(channels) == 0 {
		return channelNames()
	}
	return channels
}

// errSettings ends a command that has printed what is wrong with settings.
var errSettings = usageError{errors.New("")}

// channelProblems are those of one channel's settings.
type channelProblems struct {
	Channel  string   `json:"channel"`
	Problems []string `json:"problems"`
}

func configCheck(s *session) *cobra.Command {
	return channelArgs(cobra.ArbitraryArgs, &cobra.Command{
		Use:   "check [CHANNEL...]",
		Short: "List everything that is wrong with the settings",
		Long: `Read the settings of each channel as its worker does, with the files that they
name, and list every problem; and the names in the file that no setting reads.
Exit code 2 when a worker would not start.`,
		Example: `  msgctl config check
  msgctl config check sms --env-file production.env`,
		RunE: func(cmd *cobra.Command, args []string) error {
			origin, warnings, wrong := s.origin()
			if origin == nil {
				return wrong
			}
			report := struct {
				Channels []channelProblems `json:"channels"`
				Warnings []string          `json:"warnings"`
			}{Warnings: warnings}
			for _, channel := range orAll(args) {
				_, problems := preflight.Problems(origin.Lookup, models.Channel(channel))
				report.Channels = append(report.Channels, channelProblems{channel, problems})
				if len(problems) > 0 {
					wrong = cmp.Or(wrong, error(errSettings))
				}
			}
			if err := s.print(cmd, report, func(w io.Writer) { writeProblems(w, report.Channels, warnings) }); err != nil {
				return err
			}
			return wrong
		},
	})
}

func writeProblems(w io.Writer, channels []channelProblems, warnings []string) {
	fmt.Fprintln(w, "CHANNEL\tPROBLEM")
	for _, c := range channels {
		for _, p := range c.Problems {
			fmt.Fprintf(w, "%s\t%s\n", c.Channel, p)
		}
		if len(c.Problems) == 0 {
			fmt.Fprintf(w, "%s\tnone\n", c.Channel)
		}
	}
	for _, warning := range warnings {
		fmt.Fprintf(w, "warning\t%s\n", warning)
	}
}

// channelSettings are the settings in force for one channel.
type channelSettings struct {
	Channel  string         `json:"channel"`
	Settings []config.Value `json:"settings"`
}

func configPrint(s *session) *cobra.Command {
	var changed bool
	cmd := channelArgs(cobra.ArbitraryArgs, &cobra.Command{
		Use:   "print [CHANNEL...]",
		Short: "Show the settings in force and where each comes from",
		Long: `Show the settings that a worker of each channel would run with, and where each
comes from: the environment, the file, an override for the channel, or its
default. Secrets are not shown. What is wrong with them is listed too, and is
exit code 2.`,
		Example: `  msgctl config print sms
  msgctl config print email --changed     # without the defaults`,
		RunE: func(cmd *cobra.Command, args []string) error {
			origin, warnings, wrong := s.origin()
			if origin == nil {
				return wrong
			}
			for _, warning := range warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "msgctl: warning:", warning)
			}
			var list []channelSettings
			for _, channel := range orAll(args) {
				list = append(list, channelSettings{channel, inForce(origin, channel, changed)})
				_, problems := preflight.Problems(origin.Lookup, models.Channel(channel))
				for _, p := range problems {
					fmt.Fprintf(cmd.ErrOrStderr(), "msgctl: %s: %s\n", channel, p)
					wrong = cmp.Or(wrong, error(errSettings))
				}
			}
			if err := s.print(cmd, list, func(w io.Writer) { writeSettings(w, list) }); err != nil {
				return err
			}
			return wrong
		},
	})
	cmd.Flags().BoolVar(&changed, "changed", false, "only what is not the default")
	return cmd
}

func inForce(origin config.Origin, channel string, changed bool) []config.Value {
	var list []config.Value
	for _, v := range config.InForce(origin, channel) {
		if !changed || v.Set() {
			list = append(list, v)
		}
	}
	return list
}

func writeSettings(w io.Writer, list []channelSettings) {
	fmt.Fprintln(w, "CHANNEL\tSETTING\tVALUE\tFROM")
	for _, c := range list {
		for _, v := range c.Settings {
			from := cmp.Or(v.From, "not set")
			if v.Variable != "" {
				from += ", " + v.Variable
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Channel, v.Name, cmp.Or(v.Value, "-"), from)
		}
	}
}
