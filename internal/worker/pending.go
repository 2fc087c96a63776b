package worker

import (
	"sync"
	"time"

	"messaging-worker/internal/models"
)

// What a message does, as an operator may see it.
const (
	waiting    = "waiting for a call"
	paused     = "paused"
	calling    = "calling"
	backingOff = "backing off"
	ending     = "ending"
)

// Unfinished is a message that an engine has at work.
type Unfinished struct {
	Lane      models.Lane        `json:"lane"`
	Partition int32              `json:"partition"`
	Offset    int64              `json:"offset"`
	MessageID string             `json:"message_id"`
	TenantID  string             `json:"tenant_id,omitzero"`
	Stage     string             `json:"stage"`
	Attempt   int                `json:"attempt"`             // rounds of provider calls made or announced
	LastError models.FailureType `json:"last_error,omitzero"` // class of the last failed attempt
	NextAt    *time.Time         `json:"next_attempt_at,omitzero"`
	Since     time.Time          `json:"since"` // when its work began here
}

// Pending lists the messages that an engine has at work. It is safe for
// concurrent use. An engine that has none keeps no list.
type Pending struct {
	mu   sync.Mutex
	list map[*job]*Unfinished
}

// List returns the messages in no order.
func (p *Pending) List() []Unfinished {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Unfinished, 0, len(p.list))
	for _, u := range p.list {
		list = append(list, *u)
	}
	return list
}

func (p *Pending) add(lane models.Lane, m *job) {
	if p == nil {
		return
	}
	u := &Unfinished{
		Lane: lane, Partition: m.record.Partition, Offset: m.record.Offset, MessageID: m.delivery.Envelope.MessageID,
		TenantID: m.delivery.Envelope.TenantID, Stage: waiting, Since: time.Now().UTC(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		p.list = map[*job]*Unfinished{}
	}
	p.list[m] = u
}

func (p *Pending) remove(m *job) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.list, m)
}

// show takes what the message does; next is when its next attempt is due, zero
// where none is planned.
func (p *Pending) show(m *job, stage string, next time.Time) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.list[m]
	u.Stage, u.Attempt, u.NextAt = stage, m.progress.Spent(), nil
	if !next.IsZero() {
		u.NextAt = new(next.UTC())
	}
	if state, f := m.progress.Decisive(); f != nil {
		u.LastError = state.FailureType()
	}
}
