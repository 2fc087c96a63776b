package worker

import (
	"sync"
	"time"

	"messaging-worker/internal/models"
)

// stage is what a message does.
type stage string

const (
	waiting    stage = "waiting for a call"
	calling    stage = "calling"
	backingOff stage = "backing off"
	ending     stage = "ending"
)

// Unfinished is a message that an engine has at work.
type Unfinished struct {
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

// Pending lists the messages that engines have at work. It is safe for
// concurrent use; a nil Pending keeps no list.
type Pending struct {
	mu    sync.Mutex
	views map[*view]struct{}
}

// view is one message as an operator may see it.
type view struct {
	mu  sync.Mutex
	now Unfinished
}

// List returns the messages in no order.
func (p *Pending) List() []Unfinished {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Unfinished, 0, len(p.views))
	for v := range p.views {
		v.mu.Lock()
		list = append(list, v.now)
		v.mu.Unlock()
	}
	return list
}

func (p *Pending) add(m *job) *view {
	if p == nil {
		return nil
	}
	v := &view{now: Unfinished{
		Partition: m.record.Partition, Offset: m.record.Offset, MessageID: m.delivery.Envelope.MessageID,
		TenantID: m.delivery.Envelope.TenantID, Stage: string(waiting), Since: time.Now().UTC(),
	}}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.views == nil {
		p.views = map[*view]struct{}{}
	}
	p.views[v] = struct{}{}
	return v
}

func (p *Pending) remove(v *view) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.views, v)
}

// showStage tells an operator what the message does; next is when its next attempt
// is due, zero where none is planned.
func (m *job) showStage(s stage, next time.Time) {
	if m.view == nil {
		return
	}
	m.view.mu.Lock()
	defer m.view.mu.Unlock()
	now := &m.view.now
	now.Stage, now.Attempt, now.NextAt = string(s), m.progress.Spent(), nil
	if !next.IsZero() {
		now.NextAt = new(next.UTC())
	}
	if state, f := m.progress.Decisive(); f != nil {
		now.LastError = state.FailureType()
	}
}
