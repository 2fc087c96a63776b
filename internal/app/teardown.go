package app

import (
	"errors"
	"fmt"
	"slices"
)

// teardown closes what was built, the last first. The zero teardown is empty.
type teardown []closing

type closing struct {
	name  string
	close func() error
}

// push adds a part that was built.
func (t *teardown) push(name string, close func() error) { *t = append(*t, closing{name, close}) }

// run closes all parts, and leaves the teardown empty.
func (t *teardown) run() error {
	parts := *t
	*t = nil
	var failed error
	for _, part := range slices.Backward(parts) {
		if err := part.close(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("close %s: %w", part.name, err))
		}
	}
	return failed
}
