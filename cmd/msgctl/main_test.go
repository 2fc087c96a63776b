package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"msgctl": main}) }

// The scripts run msgctl as a person does.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}

// Ctrl-C ends a command that waits for somebody to type.
func TestInterruptible(t *testing.T) {
	t.Parallel()
	silent, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	r := interruptible(ctx, silent)
	defer r.Close()
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("reading ends with %v, want that of the command", err)
	}
}
