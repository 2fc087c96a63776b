package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

// Not all were sent: that is the answer, whatever became of the others.
func TestSendConcludes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcome models.EventType
		err     error
		says    string
	}{
		{models.EventSent, nil, "2 of 2 requests produced: 2 sent, 0 failed, 0 without an outcome\n"},
		{models.EventFailed, errNo, "2 of 2 requests produced: 1 sent, 1 failed, 0 without an outcome\n"},
		{models.EventCanceled, errNo, "2 of 2 requests produced: 1 sent, 0 failed, 1 canceled, 0 without an outcome\n"},
	} {
		var says strings.Builder
		cmd := &cobra.Command{}
		cmd.SetErr(&says)
		err := (&sendFlags{wait: true}).conclude(cmd, 2, []*ops.Sent{{Outcome: models.EventSent}, {Outcome: tt.outcome}}, nil)
		if !errors.Is(err, tt.err) || says.String() != tt.says {
			t.Errorf("with one %s: %v, %q, want %v, %q", tt.outcome, err, says.String(), tt.err, tt.says)
		}
	}
}
