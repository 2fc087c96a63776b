package adaptertest_test

import (
	"context"
	"testing"

	"messaging-worker/internal/adapters/common"
	emailadapter "messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email"
)

// answering is a provider that always answers the same.
type answering struct {
	receipt email.Receipt
	err     error
}

func (a answering) Send(context.Context, email.Message) (email.Receipt, error) {
	return a.receipt, a.err
}

// A call for which no connection was free was not made, unless somebody has the
// mail or was refused before.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	accepted := email.Receipt{Reply: smtpReply(250, 2, 0, 0), Failed: []int{1}, Err: &email.BusyError{}}
	tests := []struct {
		name      string
		provider  answering
		notCalled bool
	}{
		{"nobody was spoken of", answering{err: &email.BusyError{}}, true},
		{"one has the mail", answering{receipt: accepted}, false},
	}
	for _, tt := range tests {
		a := emailadapter.New(tt.provider, request.Limits{}, 0)
		req := &models.EmailRequest{From: "noreply@example.com", To: []string{"a@example.com", "b@example.com"}}
		_, err := a.Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0, 1}})
		f := common.Classify(err)
		if f == nil || f.Class != models.FailureTransient || f.Unreachable || f.NotCalled != tt.notCalled {
			t.Errorf("%s: %+v, want a transient failure, not called %v", tt.name, f, tt.notCalled)
		}
	}
}
