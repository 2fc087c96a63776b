package email

import (
	"context"
	"slices"

	"messaging-worker/internal/providers/mock"
)

// Mock delivers nothing and answers as the message's hints say.
type Mock struct{ mock *mock.Mock }

// NewMock makes a mock provider that plays with m.
func NewMock(m *mock.Mock) *Mock { return &Mock{m} }

// Send plays one conversation. Its errors are *ReplyError, or ctx's own.
func (p *Mock) Send(ctx context.Context, m Message) (Receipt, error) {
	o, err := p.mock.Play(ctx, mock.Call{
		MessageID: m.ID, Attempt: m.Attempt, Recipients: m.Indexes, Last: m.Last, Hints: m.Meta,
	})
	if err != nil {
		return Receipt{}, err
	}
	refuse := func(code int, enhanced [3]int, text string) (Receipt, error) {
		return Receipt{}, &ReplyError{Reply: Reply{Code: code, Enhanced: enhanced, Message: text}, Stage: ".", RetryAfter: o.RetryAfter}
	}
	switch o.Result {
	case mock.Transient:
		return refuse(451, [3]int{4, 3, 0}, "try again later")
	case mock.Permanent:
		return refuse(550, [3]int{5, 7, 1}, "message refused")
	case mock.Unplayable:
		return refuse(554, [3]int{5, 6, 0}, o.Reason)
	case mock.RateLimited:
		return refuse(450, [3]int{4, 7, 1}, "rate limit exceeded")
	case mock.Accepted:
	case mock.Unknown:
		return refuse(299, [3]int{}, "a reply outside the protocol")
	}
	r := Receipt{Reply: Reply{Code: 250, Enhanced: [3]int{2, 0, 0}, Message: "queued"}, QueueID: "mock-" + m.ID}
	for i, index := range m.Indexes {
		if slices.Contains(o.Refused, index) {
			r.Refusals = append(r.Refusals, Refusal{Recipient: i, Reply: Reply{
				Code: 550, Enhanced: [3]int{5, 1, 1}, Message: "recipient rejected",
			}})
		}
	}
	if len(r.Refusals) == len(m.Indexes) {
		r.Reply, r.QueueID = Reply{}, ""
	}
	return r, nil
}
