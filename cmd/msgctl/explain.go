package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"messaging-worker/internal/adapters/explain"
)

func explainCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "explain " + strings.Join(explain.Providers(), "|") + " CODE",
		Short: "Tell what a provider's code means and what the workers do about it",
		Long: `Tell what a code of Twilio or Meta, an SMTP reply or an HTTP status means, and
what the workers do about it: they go by the same tables.`,
		Example: `  msgctl explain twilio 30003
  msgctl explain meta 131047
  msgctl explain smtp 4.7.1            # or 451, or "451 4.7.1"
  msgctl explain http 503 --output json`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return explain.Providers(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := explain.Code(args[0], args[1])
			if err != nil {
				return usageError{err}
			}
			return s.print(cmd, e, func(w io.Writer) {
				class := e.Class
				if e.Scope != "" {
					class += ", about the " + e.Scope
				}
				fmt.Fprintf(w, "%s %s\n  class    %s\n  meaning  %s\n  worker   %s\n  source   %s\n",
					e.Provider, e.Code, class, e.Meaning, e.Action, e.Source)
			})
		},
	}
}
