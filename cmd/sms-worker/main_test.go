package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"messaging-worker/internal/app"
	"messaging-worker/internal/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sms-worker":      main,
		"email-worker":    func() { os.Exit(app.Main("email")) },
		"whatsapp-worker": func() { os.Exit(app.Main("whatsapp")) },
	})
}

// The scripts run the binaries as an operator does: settings, exit codes, and
// what is printed where.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { l.Close() })
			env.Setenv("TAKEN_PORT", port(l.Addr().String()))
			live, err := runWorker(t)
			if err != nil {
				return err
			}
			env.Setenv("LIVE_PORT", port(live))
			stuck := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "poll has not moved", http.StatusServiceUnavailable)
			}))
			env.Defer(stuck.Close)
			env.Setenv("STUCK_PORT", port(stuck.Listener.Addr().String()))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// runWorker runs a worker that finds no broker until the test's end, and
// returns where it answers.
func runWorker(t *testing.T) (string, error) {
	t.Helper()
	c, err := config.Load(func(name string) (string, bool) {
		value, ok := map[string]string{
			"KAFKA_BROKERS": "127.0.0.1:1", "APP_HOST": "127.0.0.1", "APP_PORT": "0",
			"KAFKA_SMS_REQUEST_TOPIC": "r", "KAFKA_SMS_STATUS_TOPIC": "s", "KAFKA_SMS_DLQ_TOPIC": "d", "SMS_CONSUMER_GROUP": "g",
		}[name]
		return value, ok
	}, "sms")
	if err != nil {
		return "", err
	}
	a, err := app.New(t.Context(), c, zerolog.Nop())
	if err != nil {
		return "", err
	}
	done := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		_ = a.Run(ctx) // there is nothing to drain
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return a.Addr(), nil
}

// exits runs a command and checks its exit code: exits CODE command [arg ...].
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("%v exits %d, want %s", args[1:], code, want)
	}
}
