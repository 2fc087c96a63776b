package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker/route"
)

// fate is what has become of one recipient.
type fate int

const (
	isOpen      fate = iota // not reached yet
	isUnsettled             // still open; its last outcome could not be classified
	isAccepted
	isRefused // for good
	isAssumed // accepted, but the answer could not be read: never repeated
)

// job is one request on its way. One goroutine owns it; while the calls
// of a round are under way, theirs share fates and kept under a lock.
type job struct {
	record    *models.Record
	delivery  common.Delivery
	envelope  *models.Envelope
	publisher Publisher
	lease     Lease
	admission route.Attempt // of the present attempt
	traceID   string
	unacked   []Ack // events not known to be in Kafka yet

	attempt     int   // rounds of provider calls made or announced
	unmade      int   // runs of the next attempt that were taken back
	run         int   // of the present attempt
	restored    bool  // earlier owners have got somewhere
	begun       bool  // at most once: nobody will read the record again
	view        *view // for an operator; nil where nobody looks
	units       [][]int
	recipients  []int             // all that units reach, ascending
	fates       []fate            // by recipient number
	kept        int               // how many settled recipients the lease knows of
	retried     bool              // a retry event says what the lease keeps
	reasons     []*reason         // by recipient number; nil while nothing has failed
	success     *result           // the last call that was accepted
	meta        map[string]string // what the providers told, over all calls
	retryAfter  time.Duration     // asked for in the last round
	notStarted  bool              // the last round was kept from being made, in part or whole
	uncalled    bool              // in whole
	unspent     bool              // the last round is not spent, though calls were made
	letIn       int               // how often the provider had let somebody in when it last refused us and not this; 0 for never
	firstFailed time.Time
	lastAttempt time.Time // when the last round with a call ended
	givenUp     models.FailureType
}

func newMessage(rec *models.Record, d common.Delivery, p Publisher, l Lease) *job {
	m := &job{
		record: rec, delivery: d, envelope: d.Envelope, publisher: p, lease: l,
		units: d.Units, unacked: make([]Ack, 0, 3),
	}
	if m.traceID = m.envelope.TraceID; m.traceID == "" {
		m.traceID = rec.TraceID()
	}
	m.recipients = joined(m.units)
	if n := len(m.recipients); n > 0 {
		m.fates = make([]fate, m.recipients[n-1]+1)
	}
	return m
}

// joined returns the recipients of all units, ascending.
func joined(units [][]int) []int {
	if len(units) == 1 { // as nearly always
		return units[0]
	}
	all := slices.Concat(units...)
	slices.Sort(all)
	return all
}

// flush waits until all events so far are acknowledged: for the last one
// first, because the others are there by then and cost no wait of their own.
func (m *job) flush(ctx context.Context) error {
	for n := len(m.unacked); n > 0; n-- {
		if err := m.unacked[n-1].Wait(ctx); err != nil {
			return err //nolint:wrapcheck // the cause of ctx's end
		}
		m.unacked = m.unacked[:n-1]
	}
	return nil
}

// flushOnStopTimeout is how long a message that is stopped waits until Kafka has what it
// said. What comes later still is true, and the next owner's fold takes it.
const flushOnStopTimeout = 3 * time.Second

// flushOnStop waits until a stopped message's events are acknowledged, and not
// for a Kafka that takes none.
func (m *job) flushOnStop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushOnStopTimeout)
	defer cancel()
	return m.flush(ctx)
}

func (m *job) publish(ctx context.Context, event models.EventType, resp *models.ProviderResponse, errText string) {
	m.unacked = append(m.unacked, m.publisher.Status(ctx, m.record, &models.StatusEvent{
		MessageID: m.envelope.MessageID, Channel: m.envelope.Channel, EventType: event,
		Attempt: m.attempt, ProviderResponse: resp, Error: errText,
		TraceID: m.traceID, TenantID: m.envelope.TenantID, Timestamp: time.Now().UTC(),
		FailureType: m.givenUp, Run: m.run,
	}))
}

// endRound folds the results of a round.
func (m *job) endRound(results []result) {
	now := time.Now().UTC()
	m.retryAfter, m.notStarted, m.uncalled, m.unspent = 0, false, true, false
	for i := range results {
		r := &results[i]
		m.note(r)
		if r.failure == nil {
			m.success, m.uncalled = r, false
			continue
		}
		if m.firstFailed.IsZero() {
			m.firstFailed = now
		}
		m.retryAfter = max(m.retryAfter, r.failure.RetryAfter)
		m.unspent, m.letIn = m.unspent || r.unspent, max(m.letIn, r.letIn)
		m.notStarted = m.notStarted || r.notStarted || r.unspent
		m.uncalled = m.uncalled && r.notStarted
		m.explain(r)
	}
	if !m.uncalled {
		m.lastAttempt = now
	}
}

// applyResult gives the recipients of a call the fates that its result says.
func (m *job) applyResult(r *result) {
	f := r.failure
	if f == nil {
		m.settle(r.recipients, isAccepted)
		return
	}
	switch {
	case f.Refused != nil || f.Open != nil:
		m.settle(r.recipients, isAccepted)
		m.settle(f.Refused, isRefused)
		for _, i := range f.Open {
			m.settle([]int{i}, openFate(f, i))
		}
		if f.Accepted {
			m.settle(f.Doubtful, isAssumed)
		}
	case f.Accepted:
		m.settle(r.recipients, isAssumed)
	case f.Class == models.FailurePermanent:
		m.settle(r.recipients, isRefused)
	default:
		m.settle(r.recipients, openFate(f, -1))
	}
	if !r.indeterminate {
		return
	}
	doubtful := f.Doubtful
	if doubtful == nil {
		doubtful = r.recipients
	}
	for _, i := range doubtful {
		if m.fates[i] == isOpen || m.fates[i] == isUnsettled {
			m.fates[i] = isAssumed
		}
	}
}

// note keeps what the provider told about its recipients.
func (m *job) note(r *result) {
	if len(r.response.Meta) == 0 {
		return
	}
	if m.meta == nil {
		m.meta = r.response.Meta
		return
	}
	m.meta = maps.Clone(m.meta)
	maps.Copy(m.meta, r.response.Meta)
}

// settle takes numbers from anywhere, the journal too: foreign ones are left
// out.
func (m *job) settle(recipients []int, f fate) {
	for _, i := range recipients {
		if i >= 0 && i < len(m.fates) {
			m.fates[i] = f
		}
	}
}

// checkpoint tells the lease who is settled, so that a crash in the middle of the
// round calls nobody again.
func (m *job) checkpoint() {
	s := message.Resolved{Accepted: m.with(isAccepted), Refused: m.with(isRefused), Indeterminate: m.with(isAssumed)}
	if n := len(s.Accepted) + len(s.Refused) + len(s.Indeterminate); n > m.kept {
		m.kept = n
		m.lease.Checkpoint(s)
	}
}

// expire ends the message for the recipients that are still open. An attempt
// that was published and called nobody is not counted.
func (m *job) expire() {
	if m.uncalled {
		m.attempt--
	}
	late := m.with(isOpen, isUnsettled)
	m.settle(late, isRefused)
	for _, i := range late {
		m.because(i, &reason{byExpiry, errExpired, models.ProviderResponse{Status: models.StatusRejected}})
	}
	if m.lastAttempt.IsZero() {
		m.lastAttempt = time.Now().UTC()
	}
	if m.firstFailed.IsZero() {
		m.firstFailed = m.lastAttempt
	}
}

// dropCheckpoint lets the lease forget what an acknowledged retry event says.
func (m *job) dropCheckpoint() {
	if m.kept > 0 && m.retried {
		m.kept = 0
		m.lease.Checkpoint(message.Resolved{})
	}
	m.retried = false
}

// with returns the numbers of the recipients with one of the fates.
func (m *job) with(fates ...fate) []int {
	var numbers []int
	for _, i := range m.recipients {
		if slices.Contains(fates, m.fates[i]) {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

func (m *job) count(f fate) int {
	n := 0
	for _, i := range m.recipients {
		if m.fates[i] == f {
			n++
		}
	}
	return n
}

func (m *job) delivered() bool { return m.count(isAccepted) == len(m.recipients) }
func (m *job) open() bool      { return m.count(isOpen)+m.count(isUnsettled) > 0 }

// openUnits returns the units that still have open recipients, narrowed to
// those.
func (m *job) openUnits() [][]int {
	if m.attempt == 0 && !m.restored {
		return m.units
	}
	var units [][]int
	for _, unit := range m.units {
		var left []int
		for _, i := range unit {
			if f := m.fates[i]; f == isOpen || f == isUnsettled {
				left = append(left, i)
			}
		}
		if len(left) > 0 {
			units = append(units, left)
		}
	}
	return units
}
