package consumer

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// partition is one at-most-once assignment and what Kafka has of it.
type partition struct {
	t        *testing.T
	consumer *Consumer
	cut      func() // ends everything at once
	*assignment

	next    int64
	halted  bool
	flight  *kgo.EpochOffset // the commit under way
	stored  int64            // the offset that Kafka has
	certain bool             // the last commit was answered

	mu    sync.Mutex
	asked map[int64]chan struct{} // closed: the handler comes to ask for its begin
	begun map[int64]bool          // by offset: what begin answered
	ended map[int64]bool          // without a call
}

func newPartition(t *testing.T, committed int64) *partition {
	t.Helper()
	p := &partition{
		t: t, next: max(0, committed), stored: committed, certain: true,
		asked: map[int64]chan struct{}{}, begun: map[int64]bool{}, ended: map[int64]bool{},
	}
	p.consumer = &Consumer{
		opts: Options{AtMostOnce: true}, handler: p.handle, log: zerolog.Nop(), pending: newPending(1000, 1<<20),
		crew: &crew{limit: 3}, kick: make(chan struct{}, 1), kickLate: make(chan struct{}, 1),
	}
	life := lifetime.New(t.Context())
	p.cut = func() { life.Cut(nil) }
	p.assignment = p.consumer.newAssignment(life, 0)
	p.fetched(committed)
	return p
}

func (p *partition) handle(life *lifetime.Lifetime, rec *models.Record, _ message.Progress, lease *Lease) error {
	p.mu.Lock()
	asked := p.asked[rec.Offset]
	p.mu.Unlock()
	select {
	case <-asked:
		if rec.Offset%5 == 4 { // does not validate
			p.note(p.ended, rec.Offset, true)
			return nil
		}
	case <-life.Waiting().Done():
	}
	err := lease.CommitBeforeCall(life.Waiting())
	p.note(p.begun, rec.Offset, err == nil)
	return err
}

func (p *partition) note(list map[int64]bool, offset int64, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list[offset] = is
}

// read admits one more record.
func (p *partition) read() {
	r := &kgo.Record{Offset: p.next}
	p.mu.Lock()
	p.asked[p.next] = make(chan struct{})
	p.mu.Unlock()
	if p.next += 1 + p.next%2; p.next%3 == 0 { // offsets have gaps, and markers
		defer p.pass(p.next-1, -1)
	}
	if progress, ok := p.admit(r, nil); ok {
		p.consumer.pending.tryTake(0)
		p.start(record(r), progress)
	} else {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.asked, r.Offset)
	}
}

// ask lets one handler go on.
func (p *partition) ask(n int) {
	for offset := range p.next {
		ch, ok := p.asked[offset]
		if !ok {
			continue
		}
		if n--; n >= 0 {
			continue
		}
		select {
		case <-ch:
		default:
			close(ch)
		}
		return
	}
}

// send has a commit under way, as Consumer.commit does.
func (p *partition) send() {
	p.consumer.commitMu.Lock()
	if pos, ok := p.toCommit(); ok {
		p.flight = &pos
	} else {
		p.consumer.commitMu.Unlock()
	}
}

// land ends it: it is acknowledged, or taken and not acknowledged, or neither,
// or refused.
func (p *partition) land(outcome int) {
	if p.flight == nil {
		return
	}
	if outcome <= 1 {
		p.stored = p.flight.Offset
	}
	switch outcome {
	case 0:
		p.setCommitted(p.flight.Offset, 0)
	case 3:
		p.refused(kerr.RebalanceInProgress)
	}
	p.certain = outcome == 0 || p.certain && outcome == 3
	p.flight = nil
	p.consumer.commitMu.Unlock()
}

func (p *partition) step(what, n int) {
	switch what {
	case 0, 1:
		p.read()
	case 2, 3, 4:
		p.ask(n)
	case 5, 6:
		if p.flight == nil {
			p.send()
		}
	case 7, 8:
		p.land(n % 4)
	case 9:
		if n == 0 {
			p.stopNow()
		}
	}
	if p.flight == nil || !p.halted { // else handlers may wait for its mutex
		synctest.Wait()
	}
}

func (p *partition) stopNow() {
	p.halted = true
	p.halt(errHandedOver)
}

// leave stops the assignment and has its last commit acknowledged. Abruptly,
// the contexts end first, and commits go on for a while.
func (p *partition) leave(outcome int, abruptly bool) {
	defer p.cut()
	if abruptly {
		p.cut()
		p.land(outcome)
		p.handlers.Wait()
		p.send()
		p.land(0)
	}
	p.stopNow()
	p.land(outcome)
	p.handlers.Wait()
	p.send()
	p.land(0)
	p.close()
}

// wrong returns what must not be once the partition is left.
func (p *partition) wrong() string {
	for offset := range p.asked {
		begun := p.begun[offset]
		switch {
		case p.stored > offset && !begun && !p.ended[offset]:
			return fmt.Sprintf("offset %d is committed (%d), and its handler was told to leave it", offset, p.stored)
		case p.stored <= offset && begun:
			return fmt.Sprintf("offset %d is read again (%d), and its handler was told to begin", offset, p.stored)
		}
	}
	return ""
}

// However reads, begins, commits and the stop interleave, and whatever becomes
// of the commits: what is committed was begun, and what is read again was not.
func TestAtMostOnceLeavesNothingInDoubt(t *testing.T) {
	t.Parallel()
	type step struct{ what, n int }
	rapid.Check(t, func(rt *rapid.T) {
		committed := rapid.Int64Range(-1, 3).Draw(rt, "committed")
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, 9).Draw(t, "what"), rapid.IntRange(0, 7).Draw(t, "n")}
		}), 5, 60).Draw(rt, "steps")
		last, abruptly := rapid.IntRange(0, 3).Draw(rt, "last"), rapid.Bool().Draw(rt, "abruptly")
		wrong := ""
		synctest.Test(t, func(t *testing.T) {
			p := newPartition(t, committed)
			for _, s := range steps {
				p.step(s.what, s.n)
			}
			p.leave(last, abruptly)
			wrong = p.wrong()
			p.consumer.crew.dismiss()
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// A commit that is under way at the stop may pass records that have not begun:
// their handlers wait for it, and are told to go on.
func TestStopWhileACommitIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(t, 0)
		p.consumer.crew.limit = 10
		for range 4 { // offsets 0, 1, 3, 5
			p.read()
		}
		p.ask(2)
		synctest.Wait()
		p.send()
		p.ask(3)
		p.stopNow()
		p.leave(0, false)
		for offset, want := range map[int64]bool{0: true, 1: true, 3: true, 5: false} {
			if p.begun[offset] != want {
				t.Errorf("offset %d may begin: %v, want %v", offset, p.begun[offset], want)
			}
		}
		if p.stored != 4 {
			t.Errorf("committed %d, want 4: the last commit takes nothing along that has not begun", p.stored)
		}
		p.consumer.crew.dismiss()
	})
}

// Whoever loses a partition lets the calls of what it has committed end.
func TestLostPartitionKeepsItsCalls(t *testing.T) {
	t.Parallel()
	calling, end := make(chan struct{}), make(chan struct{})
	var failure error
	c := &Consumer{
		opts: Options{AtMostOnce: true}, log: zerolog.Nop(), pending: newPending(10, 10), crew: &crew{limit: 1},
		owned: map[int32]*assignment{}, lately: map[int32]*assignment{},
		handler: func(life *lifetime.Lifetime, _ *models.Record, _ message.Progress, _ *Lease) error {
			close(calling)
			<-life.Waiting().Done()
			<-end
			failure = context.Cause(life.Calls())
			return failure
		},
	}
	c.owned[0] = c.newAssignment(lifetime.New(t.Context()), 0)
	progress, _ := c.owned[0].admit(&kgo.Record{Offset: 7}, nil)
	c.owned[0].start(&models.Record{Offset: 7}, progress)
	<-calling
	c.lost([]int32{0})
	close(end)
	if inTime := c.outlast(t.Context()); !inTime || failure != nil {
		t.Errorf("in time %v, the call's context: %v, want in time and not cut", inTime, failure)
	}
	c.crew.dismiss()
}
