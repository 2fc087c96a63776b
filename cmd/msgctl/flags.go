package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// channelFlag adds --channel, which names one channel.
func channelFlag(cmd *cobra.Command, dst *string, fallback string) {
	cmd.Flags().StringVarP(dst, "channel", "c", fallback, strings.Join(channelNames(), ", "))
	complete(cmd, "channel", channelNames())
}

// complete offers the values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // the flag is there: the caller made it
}
