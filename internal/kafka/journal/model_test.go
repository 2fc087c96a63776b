package journal_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// The protocol as a state machine: one partition whose owners admit requests,
// write their events, call recipients, commit, and die between any two of
// these. What an owner had sent may land after the next one has read the log;
// commits may lose their metadata; a next owner may die in the middle of going
// on; an owner may take back an attempt that is acknowledged, whose calls it has
// not all made, and may cancel a request that is not being called. Whatever the
// order:
//
//   - what an owner reads from where the commit says is what it would read
//     from the log's start. Only announcements that landed after their
//     owner's death may be left out: no call was made on their strength
//   - a request that had ended when its owner read the log is not called
//   - no attempt has the number of one that was in the log by then, but for one
//     that was taken back: then it is a later run of it
//   - an attempt with a call counts as spent, unless who made it took it back
//   - a recipient that a retry event or a commit had called resolved by then is
//     never called again
//   - the commit passes no request that has not ended, and all end
const (
	modelRequests   = 6
	modelRecipients = 3
	modelBudget     = 4 // attempts
)

// entry is an event on its way to the log or in it.
type entry struct {
	request int64
	event   *models.StatusEvent
	late    bool // landed after its owner's death
}

// announced reports an event that nobody had acted upon when it landed.
func (e entry) announced() bool {
	return e.late && (e.event.EventType == models.EventQueued || e.event.EventType == models.EventAttempt)
}

func (e entry) ends() bool {
	return e.event.EventType.Final()
}

// partition is what Kafka knows.
type partition struct {
	requests       int64 // that there are
	log            []entry
	committed      int64
	metadata       string
	late           []entry // sent by owners that are dead
	checkpointedBy map[int64]map[int]bool
	calledIn       map[int64]int // the highest attempt with a call that was not taken back
}

// handling is one request in the hands of an owner.
type handling struct {
	step         string // what it does next
	attempt, run int
	open         map[int]bool // recipients to call
	called       []int        // recipients of this round still to call
	checkpointed bool         // the commit may say who is resolved
	waits        int          // number of the event whose acknowledgement it waits for
}

// holder is one owner.
type holder struct {
	p           *partition
	fold        *journal.Fold
	notes       *journal.Notes
	checkpoints journal.Checkpoints
	read        int // how long the log was when it was read
	admitted    int64
	next        int64 // finished prefix
	finished    map[int64]bool
	sent        []entry // on their way
	numbers     int     // of events sent so far
	acked       int     // of them
	known       int64   // highest status offset acknowledged, or -1
	requests    map[int64]*handling
	resolved    map[int64]map[int]bool // what was durable when it read
}

func key(request int64) journal.Key { return journal.Key{Offset: request, Timestamp: 1000 + request} }

// takeOver reads the log as a new owner does.
func (p *partition) takeOver(t *rapid.T) *holder {
	commit, known := journal.ParseCommit(p.metadata)
	o := &holder{
		p: p, fold: journal.NewFold(), checkpoints: journal.Checkpoints{}, read: len(p.log), admitted: p.committed, next: p.committed,
		finished: map[int64]bool{}, known: -1, requests: map[int64]*handling{}, resolved: map[int64]map[int]bool{},
	}
	from := commit.Position.Offset
	if p.committed == p.requests { // there is no request to go on with
		from = int64(len(p.log))
	}
	whole, sure := journal.NewFold(), journal.NewFold()
	for at, e := range p.log {
		if e.request < p.committed {
			continue
		}
		whole.Add(key(e.request), e.event)
		if !e.announced() {
			sure.Add(key(e.request), e.event)
		}
		if int64(at) >= from {
			o.fold.Add(key(e.request), e.event)
		}
		for _, i := range resolvedBy(e.event) {
			o.resolve(e.request, i)
		}
	}
	for request := p.committed; request < modelRequests; request++ {
		part, ended := o.fold.Look(key(request))
		all, ended2 := whole.Look(key(request))
		least, _ := sure.Look(key(request))
		if !ended && part.Spent() < p.calledIn[request] {
			t.Fatalf("request %d: %d attempts are spent, attempt %d was called", request, part.Spent(), p.calledIn[request])
		}
		if ended != ended2 || states(part) != states(all) ||
			part.Spent() < least.Spent() || part.Spent() > all.Spent() {
			t.Fatalf("request %d: read from %d: %+v, from the start: %+v", request, from, part, all)
		}
	}
	if known {
		o.checkpoints = commit.Checkpoints
		for request, who := range p.checkpointedBy {
			for i := range who {
				o.resolve(request, i)
			}
		}
	}
	if o.checkpoints == nil {
		o.checkpoints = journal.Checkpoints{}
	}
	o.notes = journal.NewNotes(p.committed, from, o.fold.Highest())
	return o
}

func states(p message.Progress) (s [modelRecipients]message.RecipientState) {
	for i := range s {
		s[i] = p.State(i)
	}
	return s
}

func (o *holder) resolve(request int64, recipient int) {
	if o.resolved[request] == nil {
		o.resolved[request] = map[int]bool{}
	}
	o.resolved[request][recipient] = true
}

// resolvedBy returns whom a retry event does not list as open.
func resolvedBy(e *models.StatusEvent) []int {
	var list []int
	if e.EventType == models.EventRetry {
		open := strings.Split(e.ProviderResponse.Meta[models.MetaOpenRecipients], ",")
		for i := range modelRecipients {
			if !slices.Contains(open, strconv.Itoa(i)) {
				list = append(list, i)
			}
		}
	}
	return list
}

// admit takes the next request and goes on with it where it stood.
func (o *holder) admit() {
	request := o.admitted
	o.admitted++
	o.notes.Admitted(request, o.known+1)
	progress, ended := o.fold.Look(key(request))
	if ended {
		o.finish(request)
		return
	}
	h := &handling{step: "queue", open: map[int]bool{}}
	h.attempt, h.run = progress.Next()
	for i := range modelRecipients {
		h.open[i] = progress.State(i).IsOpen()
	}
	if s, ok := o.checkpoints[key(request)]; ok {
		h.checkpointed = true
		for _, i := range append(slices.Clone(s.Accepted), s.Refused...) {
			h.open[i] = false
		}
	}
	if progress.Queued() {
		h.step = "attempt"
	}
	if progress.Attempted() && len(h.openList()) == 0 || progress.Spent() >= modelBudget {
		h.step = "end"
	}
	o.requests[request] = h
}

func (h *handling) openList() []int {
	var list []int
	for i := range modelRecipients {
		if h.open[i] {
			list = append(list, i)
		}
	}
	return list
}

func (o *holder) publish(request int64, e *models.StatusEvent) int {
	o.sent = append(o.sent, entry{request: request, event: e})
	o.numbers++
	return o.numbers
}

// step lets one request take its next step.
func (o *holder) step(t *rapid.T, request int64) {
	h := o.requests[request]
	switch h.step {
	case "queue":
		o.publish(request, event(models.EventQueued, 0))
		h.step = "attempt"
	case "attempt":
		e := event(models.EventAttempt, h.attempt)
		e.Run = h.run
		o.checkNew(t, request, e)
		h.waits = o.publish(request, e)
		h.called, h.step = h.openList(), "call"
	case "call":
		if h.waits > o.acked {
			return
		}
		if h.checkpointed && h.waits > 1 { // the retry before this attempt is acknowledged too
			if o.hasRetry(request, h.attempt-1) {
				delete(o.checkpoints, key(request))
				h.checkpointed = false
			}
		}
		i := h.called[0]
		h.called = h.called[1:]
		o.call(t, request, h, i)
		if len(h.called) == 0 {
			h.step = "judge"
		} else if s := o.resolvedOf(h); s.Len() > 0 {
			o.checkpoints[key(request)] = s
			h.checkpointed = true
		}
	case "judge":
		if len(h.openList()) == 0 || h.attempt >= modelBudget {
			h.step = "end"
			return
		}
		o.publish(request, h.retry())
		h.attempt, h.run, h.step = h.attempt+1, 1, "attempt"
	case "end":
		h.end(o, request, models.EventSent)
	case "ended":
		if h.waits <= o.acked {
			delete(o.requests, request)
			o.finish(request)
		}
	}
}

// checkNew reports an attempt that was in the log and was not taken back. Late
// ones count for none: no call was made on their strength.
func (o *holder) checkNew(t *rapid.T, request int64, attempt *models.StatusEvent) {
	for _, e := range o.p.log[:o.read] {
		if e.request != request || e.event.EventType != models.EventAttempt || e.late {
			continue
		}
		if e.event.Attempt > attempt.Attempt || e.event.Attempt == attempt.Attempt && e.event.Run >= attempt.Run {
			t.Fatalf("request %d: attempt %d, run %d again, the log had it", request, attempt.Attempt, attempt.Run)
		}
	}
}

// retry is the event that leaves the open recipients to the next attempt.
func (h *handling) retry() *models.StatusEvent {
	var open []string
	for _, i := range h.openList() {
		open = append(open, strconv.Itoa(i))
	}
	return retry(h.attempt, strings.Join(open, ","))
}

func (h *handling) end(o *holder, request int64, kind models.EventType) {
	h.waits = o.publish(request, event(kind, h.attempt))
	h.step = "ended"
}

// withdraw takes back an attempt whose calls are not all made. It has to be
// acknowledged by then: a successor that has not read it would give its number
// and run to a call of its own, which this event would take back too.
func (o *holder) withdraw(request int64) {
	h := o.requests[request]
	if h.step != "call" || h.waits > o.acked {
		return
	}
	e := h.retry()
	e.ProviderResponse.Meta[models.MetaNotCalled] = strconv.Itoa(h.run)
	o.publish(request, e)
	o.p.calledIn[request] = min(o.p.calledIn[request], h.attempt-1)
	h.run, h.step = h.run+1, "attempt"
}

// cancel ends a request that waits for an attempt.
func (o *holder) cancel(request int64) {
	if h := o.requests[request]; h.step == "attempt" {
		h.end(o, request, models.EventCanceled)
	}
}

// hasRetry reports whether this owner's retry n of the request is in the log.
func (o *holder) hasRetry(request int64, n int) bool {
	for _, e := range o.p.log[o.read:] {
		if e.request == request && e.event.EventType == models.EventRetry && e.event.Attempt == n {
			return true
		}
	}
	return false
}

func (o *holder) resolvedOf(h *handling) message.Resolved {
	var s message.Resolved
	for i := range modelRecipients {
		if !h.open[i] {
			s.Accepted = append(s.Accepted, i)
		}
	}
	return s
}

func (o *holder) call(t *rapid.T, request int64, h *handling, i int) {
	if o.resolved[request][i] {
		t.Fatalf("request %d: recipient %d is called again", request, i)
	}
	for _, e := range o.p.log[:o.read] {
		if e.request == request && e.ends() {
			t.Fatalf("request %d is called though it had ended", request)
		}
	}
	o.p.calledIn[request] = h.attempt
	if rapid.Bool().Draw(t, "accepted") {
		h.open[i] = false
	}
}

func (o *holder) finish(request int64) {
	o.finished[request] = true
	delete(o.checkpoints, key(request))
	for o.finished[o.next] {
		o.next++
	}
}

// land brings the first event of a list into the log.
func (p *partition) land(list *[]entry) {
	if len(*list) > 0 {
		p.log = append(p.log, (*list)[0])
		*list = (*list)[1:]
	}
}

func (p *partition) landLate() {
	if len(p.late) > 0 {
		p.late[0].late = true
		p.land(&p.late)
	}
}

func (o *holder) commit(t *rapid.T) {
	for request := o.p.committed; request < o.next; request++ {
		if !slices.ContainsFunc(o.p.log, func(e entry) bool { return e.request == request && e.ends() }) {
			t.Fatalf("the commit of %d passes request %d, which has not ended", o.next, request)
		}
	}
	o.p.committed = o.next
	commit := journal.Commit{Checkpoints: maps.Clone(o.checkpoints)}
	commit.Position.Offset = o.notes.At(o.next)
	o.p.metadata = commit.String()
	for k, s := range o.checkpoints {
		if o.p.checkpointedBy[k.Offset] == nil {
			o.p.checkpointedBy[k.Offset] = map[int]bool{}
		}
		for _, i := range s.Accepted {
			o.p.checkpointedBy[k.Offset][i] = true
		}
	}
}

func (o *holder) ackAll() {
	o.acked = o.numbers - len(o.sent)
	if n := int64(len(o.p.log)) - 1; o.acked > 0 && n >= int64(o.read) {
		o.known = n
	}
}

// any draws one of the requests at work.
func (o *holder) any(t *rapid.T) int64 {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(o.requests))).Draw(t, "request")
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	for range 60 { // what goes wrong goes wrong seldom
		rapid.Check(t, history)
	}
}

// history plays one history.
func history(t *rapid.T) {
	p := &partition{requests: rapid.Int64Range(0, modelRequests).Draw(t, "requests"), checkpointedBy: map[int64]map[int]bool{}, calledIn: map[int64]int{}}
	o := p.takeOver(t)
	for range rapid.IntRange(1, 300).Draw(t, "steps") {
		switch rapid.IntRange(0, 18).Draw(t, "step") {
		case 0, 1:
			if o.admitted < p.requests {
				o.admit()
			}
		case 2, 3, 4, 5, 6:
			if len(o.requests) > 0 {
				o.step(t, o.any(t))
			}
		case 7, 8, 9:
			p.land(&o.sent)
		case 10:
			o.ackAll()
		case 11:
			o.commit(t)
		case 12: // what the dead had sent
			p.landLate()
		case 13: // what was read is sent once more: a producer's retry
			if n := len(p.log); n > 0 {
				e := p.log[rapid.IntRange(0, n-1).Draw(t, "repeated")]
				if !e.ends() {
					p.late = append(p.late, e)
				}
			}
		case 14: // somebody commits with other tools
			if rapid.IntRange(0, 3).Draw(t, "metadata lost") == 0 {
				p.metadata, p.checkpointedBy = "", map[int64]map[int]bool{}
				p.late = append(p.late, o.sent...)
				o = p.takeOver(t)
			}
		case 15: // a crash; what was sent may still land
			p.late = append(p.late, o.sent...)
			o = p.takeOver(t)
		case 16:
			if len(o.requests) > 0 {
				o.withdraw(o.any(t))
			}
		case 17:
			if len(o.requests) > 0 && rapid.IntRange(0, 3).Draw(t, "canceled") == 0 {
				o.cancel(o.any(t))
			}
		case 18: // a further request comes
			p.requests = min(p.requests+1, modelRequests)
		}
	}
	// Without further crashes everything comes to its end.
	p.requests = modelRequests
	for range 100 * modelRequests {
		if o.admitted < modelRequests {
			o.admit()
		}
		for _, request := range slices.Sorted(maps.Keys(o.requests)) {
			o.step(t, request)
		}
		for len(o.sent) > 0 {
			p.land(&o.sent)
		}
		o.ackAll()
	}
	o.commit(t)
	if p.committed != modelRequests {
		t.Fatalf("committed %d of %d requests", p.committed, modelRequests)
	}
}
