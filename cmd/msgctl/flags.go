package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// channelFlag adds --channel, which names one channel.
func channelFlag(cmd *cobra.Command, dst *string, fallback string) {
	cmd.Flags().StringVarP(dst, "channel", "c", fallback, strings.Join(channelNames(), ", "))
	complete(cmd, "channel", channelNames())
}

// topicFlag adds --topic, which wins over the channel's setting.
func topicFlag(cmd *cobra.Command, dst *string) {
	cmd.Flags().StringVar(dst, "topic", "", "request topic, instead of the channel's setting")
}

// complete offers the values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // the flag is there: the caller made it
}

// pairs is a flag of key=value that may be repeated. Unlike pflag's own, it
// takes a value as it is, commas too. Prefix is put before each key.
type pairs struct {
	dst    *map[string]string
	prefix string
	kind   string // what the help calls the flag's value
}

func (p pairs) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return fmt.Errorf("%q is not %s", text, p.kind)
	}
	if *p.dst == nil {
		*p.dst = map[string]string{}
	}
	(*p.dst)[p.prefix+key] = value
	return nil
}

func (p pairs) Type() string { return p.kind }

func (p pairs) String() string { return "" }
