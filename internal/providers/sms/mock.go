package sms

import (
	"context"

	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/mock"
)

// Mock delivers nothing and answers as the message's hints say.
type Mock struct{ mock *mock.Mock }

// NewMock makes a mock provider that plays with m.
func NewMock(m *mock.Mock) *Mock { return &Mock{m} }

// Send plays one call. Its errors are *api.Error, or ctx's own.
func (p *Mock) Send(ctx context.Context, m Message) (api.Receipt, error) {
	return api.Play(ctx, p.mock, mock.Call{
		MessageID: m.ID, Attempt: m.Attempt, Recipients: []int{m.Index}, Last: m.Last, Hints: m.Meta,
	})
}
