package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"messaging-worker/internal/config"
	"messaging-worker/internal/logger"
	"messaging-worker/internal/models"
)

// Exit codes of a worker.
const (
	exitOK       = 0
	exitFault    = 1
	exitSettings = 2
)

// Main runs the worker binary of a channel until a signal and returns its exit
// code.
func Main(channel models.Channel) int {
	return run(channel, os.Args[1:], os.Stdout, os.Stderr)
}

// binaryName is what the worker of a channel is called.
func binaryName(channel models.Channel) string { return string(channel) + "-worker" }

func run(channel models.Channel, args []string, out, errOut io.Writer) int {
	collectLess()
	name := binaryName(channel)
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	envFile := flags.String("env-file", "", "")
	showVersion := flags.Bool("version", false, "")
	askHealth := flags.Bool("healthcheck", false, "")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return report(errOut, config.WriteHelp(out, name))
	case err != nil:
		fmt.Fprintf(errOut, "%s: %v; see --help\n", name, err)
		return exitSettings
	case *showVersion:
		_, err := fmt.Fprintf(out, "%s %s %s\n", name, Version(), runtime.Version())
		return report(errOut, err)
	case *askHealth:
		// Docker knows healthy and unhealthy, 0 and 1; other codes are reserved.
		return min(report(errOut, healthcheck(channel, *envFile)), exitFault)
	}
	return report(errOut, start(channel, *envFile, errOut))
}

// collectLess lets the heap grow to three times what lives, instead of twice,
// unless GOGC says otherwise: a worker's heap is small beside the machine, and
// collecting it is a tenth of what a message costs.
func collectLess() {
	const usual, ours = 100, 200
	if before := debug.SetGCPercent(ours); before != usual {
		debug.SetGCPercent(before)
	}
}

// start loads the settings and works until SIGINT or SIGTERM.
func start(channel models.Channel, envFile string, errOut io.Writer) error {
	origin, warnings, mistakes := config.Environment(envFile)
	if origin == nil {
		return mistakes
	}
	c, err := config.Load(origin.Lookup, string(channel))
	if err := errors.Join(mistakes, err); err != nil {
		return err
	}
	log, err := logger.New(errOut, c.Env, c.LogLevel)
	if err != nil {
		return settingError("LOG_LEVEL", err)
	}
	for _, w := range append(warnings, c.Warnings()...) {
		log.Warn().Msg(w)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// From the first signal on, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	a, err := New(ctx, c, log)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// report prints an error for the operator and returns the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(w, err)
	if _, ok := errors.AsType[*config.Error](err); ok {
		return exitSettings
	}
	return exitFault
}
