package main

import (
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"messaging-worker/internal/app"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sms-worker":      main,
		"email-worker":    func() { os.Exit(app.Main("email-worker", app.Email())) },
		"whatsapp-worker": func() { os.Exit(app.Main("whatsapp-worker", app.WhatsApp())) },
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
			env.Setenv("TAKEN_PORT", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
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
