package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
	"messaging-worker/internal/worker/route"
)

// job is one message at work. One goroutine owns it; while the calls of a round
// are under way, theirs share progress and checkpointed under a lock.
type job struct {
	record    *models.Record
	delivery  common.Delivery
	publisher Publisher
	lease     Lease
	route     *route.Route // of the present attempt, as is admission
	admission route.Attempt
	orders    *orders.Watch // nil: nobody gives any
	traceID   string
	unacked   []Ack // events not known to be in Kafka yet

	progress     message.Progress
	recipients   []int // all that the delivery's units reach, ascending
	committed    bool  // at most once: nobody will read the record again
	checkpointed int   // how many recipients the lease's checkpoint lists
	retried      bool  // a retry event of ours lists what the checkpoint does
	last         round
	success      *models.ProviderResponse // of the last call that was accepted
	meta         map[string]string        // what the providers told, over all calls
	letIn        int                      // of the last refusal that was of us and not of this message, see route.Outcome; 0 for none
}

// round is what the last round of calls came to.
type round struct {
	retryAfter time.Duration // the longest that a provider asked for
	notCalled  bool          // some call was not made, or said nothing of the message
	withdrawn  bool          // no call was made
	ordered    bool          // some call was not made because of an order
	unspent    bool          // some call was made and said nothing of the message
}

func newJob(rec *models.Record, d common.Delivery, progress message.Progress, p Publisher, l Lease) *job {
	m := &job{
		record: rec, delivery: d, publisher: p, lease: l,
		progress: progress, unacked: make([]Ack, 0, 3),
	}
	if m.traceID = m.delivery.Envelope.TraceID; m.traceID == "" {
		m.traceID = rec.TraceID()
	}
	m.recipients = joined(m.delivery.Units)
	m.progress.Begin(m.recipients, time.Now().UTC())
	if m.progress.Attempted() {
		m.checkpointed = m.progress.Resolved().Len()
		m.success = &models.ProviderResponse{Status: models.StatusOK}
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

// publish hands an event over to Kafka, and takes it into the job's progress.
// It fills in what all events of the message share.
func (m *job) publish(ctx context.Context, ev models.StatusEvent) {
	ev.MessageID, ev.Channel, ev.TenantID = m.delivery.Envelope.MessageID, m.delivery.Envelope.Channel, m.delivery.Envelope.TenantID
	ev.TraceID, ev.Timestamp = m.traceID, time.Now().UTC()
	m.progress.Apply(&ev)
	m.unacked = append(m.unacked, m.publisher.Status(ctx, m.record, &ev))
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

// flushOnStopTimeout bounds flushOnStop. Events of a stopped message that are
// written later count all the same: the next owner reads them.
const flushOnStopTimeout = 3 * time.Second

func (m *job) flushOnStop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushOnStopTimeout)
	defer cancel()
	return m.flush(ctx)
}

// applyResult takes what a call came to for each of its recipients.
func (m *job) applyResult(r *result) {
	if r.failure == nil {
		for _, i := range r.recipients {
			m.progress.Record(i, message.Accepted, nil)
		}
		return
	}
	attempt := m.progress.Spent()
	whole := &message.Failure{Attempt: attempt, Err: r.failure.Err, Response: r.response}
	if _, before := m.progress.Decisive(); r.ordered && before != nil {
		whole.Response = before.Response // what a provider said last is still that
	}
	for i, state := range r.states() {
		failure := whole
		if answer, ok := r.failure.Answers[i]; ok {
			failure = &message.Failure{Attempt: attempt, Err: answer.Err, Response: answer.Response}
		}
		m.progress.Record(i, state, failure)
	}
}

// endRound takes what the calls of a round came to as a whole.
func (m *job) endRound(results []result) {
	failed := false
	m.last = round{withdrawn: true}
	for i := range results {
		r := &results[i]
		m.mergeMeta(r.response.Meta)
		m.last.withdrawn = m.last.withdrawn && r.withdrawn
		if r.failure == nil {
			m.success = &r.response
			continue
		}
		failed = true
		m.letIn = max(m.letIn, r.letIn)
		m.last.retryAfter = max(m.last.retryAfter, r.failure.RetryAfter)
		m.last.unspent = m.last.unspent || r.unspent
		m.last.ordered = m.last.ordered || r.ordered
		m.last.notCalled = m.last.notCalled || r.withdrawn || r.unspent
	}
	m.progress.RoundEnded(time.Now().UTC(), failed, !m.last.withdrawn)
}

// mergeMeta adds what a provider told of its recipients.
func (m *job) mergeMeta(meta map[string]string) {
	switch {
	case len(meta) == 0:
	case m.meta == nil:
		m.meta = meta
	default:
		m.meta = maps.Clone(m.meta)
		maps.Copy(m.meta, meta)
	}
}

// checkpoint has the lease keep which recipients are resolved, so that a crash
// in the middle of the round calls nobody again.
func (m *job) checkpoint() {
	if r := m.progress.Resolved(); r.Len() > m.checkpointed {
		m.checkpointed = r.Len()
		m.lease.Checkpoint(r)
	}
}

// dropCheckpoint lets the lease forget what an acknowledged retry event says.
func (m *job) dropCheckpoint() {
	if m.checkpointed > 0 && m.retried {
		m.checkpointed = 0
		m.lease.Checkpoint(message.Resolved{})
	}
}
