package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/preflight"
)

// orAll returns the channels that were named, or every one.
func orAll(channels []string) []string {
	if len(channels) == 0 {
		return channelNames()
	}
	return channels
}

// problems are all that is wrong with settings.
type problems struct {
	Channels []channelProblems `json:"channels"`
	Warnings []string          `json:"warnings"` // about the file, and what no worker refuses
}

// channelProblems are those of one channel's settings.
type channelProblems struct {
	Channel  string   `json:"channel"`
	Problems []string `json:"problems"`
}

// problems looks at the settings of the channels. The error is that of a command
// that has printed them; with a nil Origin they cannot be read at all.
func (s *session) problems(channels []string) (config.Origin, problems, error) {
	origin, warnings, wrong := s.origin()
	p := problems{Warnings: warnings}
	if origin == nil {
		return nil, p, wrong
	}
	for _, channel := range orAll(channels) {
		c, list := preflight.Problems(origin.Lookup, models.Channel(channel))
		if c != nil {
			for _, warning := range c.Warnings() {
				p.Warnings = append(p.Warnings, channel+": "+warning)
			}
		}
		p.Channels = append(p.Channels, channelProblems{channel, list})
		if len(list) > 0 {
			wrong = cmp.Or(wrong, error(usageError{errNo}))
		}
	}
	return origin, p, wrong
}

func configCheck(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "check [CHANNEL...]",
		Short: "List everything that is wrong with the settings",
		Long: `Read the settings of each channel as its worker does, with the files that they
name, and list every problem; and as warnings the names in the file that no
setting reads, and values that no worker refuses and that are hardly meant.
Exit code 2 when a worker would not start.`,
		Example: `  msgctl config check
  msgctl config check sms --env-file production.env`,
		ValidArgs: channelNames(),
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			origin, all, wrong := s.problems(args)
			if origin == nil {
				return wrong
			}
			if err := s.print(cmd, all, func(w io.Writer) { writeProblems(w, all) }); err != nil {
				return err
			}
			return wrong
		},
	}
}

func writeProblems(w io.Writer, all problems) {
	fmt.Fprintln(w, "CHANNEL\tPROBLEM")
	for _, c := range all.Channels {
		for _, p := range c.Problems {
			fmt.Fprintf(w, "%s\t%s\n", c.Channel, p)
		}
		if len(c.Problems) == 0 {
			fmt.Fprintf(w, "%s\tnone\n", c.Channel)
		}
	}
	for _, warning := range all.Warnings {
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
	cmd := &cobra.Command{
		Use:   "print [CHANNEL...]",
		Short: "Show the settings in force and where each comes from",
		Long: `Show the settings that a worker of each channel would run with, and where each
comes from: the environment, the file, an override for the channel, or its
default. Secrets are not shown. What is wrong with them is listed too, and is
exit code 2.`,
		Example: `  msgctl config print sms
  msgctl config print email --changed     # without the defaults`,
		ValidArgs: channelNames(),
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			origin, all, wrong := s.problems(args)
			if origin == nil {
				return wrong
			}
			for _, warning := range all.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "msgctl: warning:", warning)
			}
			var list []channelSettings
			for _, c := range all.Channels {
				inForce := slices.DeleteFunc(config.InForce(origin, c.Channel), func(v config.Value) bool { return changed && !v.Set() })
				list = append(list, channelSettings{c.Channel, inForce})
				for _, p := range c.Problems {
					fmt.Fprintf(cmd.ErrOrStderr(), "msgctl: %s: %s\n", c.Channel, p)
				}
			}
			if err := s.print(cmd, list, func(w io.Writer) { writeSettings(w, list) }); err != nil {
				return err
			}
			return wrong
		},
	}
	cmd.Flags().BoolVar(&changed, "changed", false, "only what is not the default")
	return cmd
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
