package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"messaging-worker/internal/providers/mock"
)

// Play lets the mock answer a call for one recipient as an HTTP provider
// would.
func Play(ctx context.Context, m *mock.Mock, call mock.Call) (Receipt, error) {
	o, err := m.Play(ctx, call)
	if err != nil {
		return Receipt{}, err
	}
	if len(o.Refused) > 0 {
		o.Result = mock.Permanent
	}
	switch o.Result {
	case mock.Transient:
		return Receipt{}, failure(http.StatusServiceUnavailable, "Service unavailable")
	case mock.Permanent:
		return Receipt{}, failure(http.StatusBadRequest, "Recipient refused")
	case mock.Unplayable:
		return Receipt{}, failure(http.StatusBadRequest, o.Reason)
	case mock.RateLimited:
		e := failure(http.StatusTooManyRequests, "Rate limit exceeded")
		e.RetryAfter = o.RetryAfter
		return Receipt{}, e
	case mock.Accepted:
	case mock.Unknown:
		return Receipt{}, failure(0, "A reply outside the protocol")
	}
	return Receipt{
		Status: http.StatusCreated, Kind: "id", Message: "queued",
		ID: "mock-" + call.MessageID + "-" + strconv.Itoa(call.Attempt) + "-" + strconv.Itoa(call.Recipients[0]),
	}, nil
}

func failure(status int, message string) *Error {
	return &Error{
		Provider: "Mock", Status: status, Code: status, Message: message,
		Raw: fmt.Sprintf(`{"status":%d,"message":%q}`, status, message),
	}
}
