package app

import (
	"errors"
	"strings"
	"testing"
)

// What was built last is closed first, each part once, also where one fails.
func TestTeardownClosesTheLastFirst(t *testing.T) {
	t.Parallel()
	var closed []string
	var all teardown
	fault := errors.New("fault")
	for _, name := range []string{"provider", "publisher", "http"} {
		all.push(name, func() error {
			closed = append(closed, name)
			if name == "publisher" {
				return fault
			}
			return nil
		})
	}
	err := all.run()
	if got := strings.Join(closed, " "); got != "http publisher provider" {
		t.Errorf("closed %s", got)
	}
	if !errors.Is(err, fault) || err.Error() != "close publisher: fault" {
		t.Errorf("run: %v, want the fault with its part", err)
	}
	if err := all.run(); err != nil || len(closed) != 3 {
		t.Errorf("a second run: %v, closed %v", err, closed)
	}
}
