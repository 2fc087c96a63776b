package worker

import (
	"context"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// Channel turns request records into deliveries. It is all the engine knows
// of email, SMS and WhatsApp.
type Channel interface {
	// Decode reads and checks a request. Its only error is
	// *common.Violations.
	Decode(rec *models.Record) (Delivery, error)
}

// Delivery is a valid request on its way. It is read-only and safe for
// concurrent use. Recipients are numbered as common.Call says.
type Delivery interface {
	Envelope() *models.Envelope

	// Recipient returns the address or number of recipient i as given. It
	// must not reach a log.
	Recipient(i int) string

	// Sender returns the address or number that the delivery is from. It must
	// not reach a log.
	Sender() string

	// Units splits the delivery into provider calls: each unit lists the
	// recipients of one call, ascending. A repeated recipient appears once.
	Units() [][]int

	// Send makes one provider call for the recipients in call: a unit, or
	// what is still open of it. A nil error means that all of them were
	// accepted, else it is a *common.Failure. The response is filled in
	// either case. Send returns soon after ctx ends.
	Send(ctx context.Context, call common.Call) (models.ProviderResponse, error)
}

// Request is what the bridge needs of a request type: its common fields.
type Request interface {
	Common() *models.Envelope
	Sender() string
}

// Adapter is one channel in terms of its own request type R.
type Adapter[R Request] interface {
	Decode(rec *models.Record) (R, error)
	Recipient(req R, i int) string
	Units(req R) [][]int
	Send(ctx context.Context, req R, call common.Call) (models.ProviderResponse, error)
}

// Bind makes a Channel of an adapter whose decoder and sender agree on R.
func Bind[R Request](a Adapter[R]) Channel { return binding[R]{a} }

type binding[R Request] struct{ adapter Adapter[R] }

func (b binding[R]) Decode(rec *models.Record) (Delivery, error) {
	req, err := b.adapter.Decode(rec)
	if err != nil {
		return nil, err
	}
	return delivery[R]{b.adapter, req}, nil
}

type delivery[R Request] struct {
	adapter Adapter[R]
	req     R
}

func (d delivery[R]) Envelope() *models.Envelope { return d.req.Common() }
func (d delivery[R]) Recipient(i int) string     { return d.adapter.Recipient(d.req, i) }
func (d delivery[R]) Sender() string             { return d.req.Sender() }
func (d delivery[R]) Units() [][]int             { return d.adapter.Units(d.req) }

func (d delivery[R]) Send(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
	return d.adapter.Send(ctx, d.req, call)
}
