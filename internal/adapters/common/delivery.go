package common

import (
	"context"

	"messaging-worker/internal/models"
)

// Delivery is a valid request, ready to be sent. It is read-only and safe for
// concurrent use.
//
// Recipients are numbered from 0 in the order to, cc, bcc as the request gives
// them. A repeated address keeps its numbers but is reached only by its first.
type Delivery struct {
	Envelope *models.Envelope

	// Sender and Recipients are addresses or numbers as given. They must not
	// reach a log.
	Sender     string
	Recipients []string

	// Units split the delivery into provider calls: each unit lists the
	// recipients of one call, ascending. A repeated recipient appears once.
	Units [][]int

	// Send makes one provider call for the recipients in call: a unit, or
	// those of a unit that are still open. A nil error means that all of them
	// were accepted, else it is a *Failure. The response is filled in either
	// case. Send returns soon after ctx ends.
	Send func(ctx context.Context, call Call) (models.ProviderResponse, error)
}

// Call is one provider call that the engine asks an adapter to make.
type Call struct {
	Attempt    int   // from 1
	Recipients []int // the recipients to reach, ascending, never empty
}
