package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/ops"
)

func validate(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "validate CHANNEL FILE|-",
		Short: "Check requests by the workers' own rules, without a broker",
		Long: `Check the requests in a file, or on standard input, by the rules of the
channel's worker and the limits of the settings. The file holds one JSON object,
or several, each of which ends its line. Every violation is a line:
FILE:LINE: path: what. No broker is needed. Exit code 1 says that a request is
not valid.`,
		Example: `  msgctl validate sms request.json
  msgctl validate email requests.jsonl --output json
  msgctl produce --channel sms --scenario invalid --dry-run | msgctl validate sms -`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return channelNames(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.load(args[0], config.LoadLimits)
			if err != nil {
				return err
			}
			in, name, err := open(cmd, args[1])
			if err != nil {
				return err
			}
			defer in.Close()
			v, err := ops.Validate(c, name, in)
			if err != nil {
				return err
			}
			return s.printValidation(cmd, v)
		},
	}
}

func (s *session) printValidation(cmd *cobra.Command, v *ops.Validation) error {
	err := s.print(cmd, v, func(w io.Writer) {
		for _, violation := range v.Violations {
			fmt.Fprintln(w, violation)
		}
		if v.Invalid == 0 {
			fmt.Fprintf(w, "%s, all valid\n", counted(v.Requests, "request"))
		}
	})
	switch {
	case err != nil:
		return err
	case v.Invalid > 0 && s.output == "json":
		return errNo
	case v.Invalid > 0:
		return fmt.Errorf("%d of %s not valid", v.Invalid, counted(v.Requests, "request"))
	}
	return nil
}

// open returns a file, or standard input for -, and the name to call it by.
// Ctrl-C ends the reading.
func open(cmd *cobra.Command, file string) (io.ReadCloser, string, error) {
	if file == "-" {
		return interruptible(cmd.Context(), io.NopCloser(cmd.InOrStdin())), "stdin", nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, file, fmt.Errorf("%w; give a file that can be read, or - for standard input", err)
	}
	return interruptible(cmd.Context(), f), file, nil
}

// interruptible reads in until ctx ends, whose cause it then returns. Close it,
// and in with it.
func interruptible(ctx context.Context, in io.ReadCloser) io.ReadCloser {
	r, w := io.Pipe()
	go func() { // may end with the process only: a read of a terminal cannot be taken back
		_, err := io.Copy(w, in)
		w.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })
	return &interruptibleReader{r, in, stop}
}

type interruptibleReader struct {
	*io.PipeReader

	in   io.Closer
	stop func() bool
}

// Close ends the reading.
func (r *interruptibleReader) Close() error {
	r.stop()
	_ = r.PipeReader.Close() // always nil
	return r.in.Close()
}
