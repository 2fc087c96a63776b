package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// partition is one at-most-once assignment of a consumer whose commits the
// test answers, and what Kafka has of it.
type partition struct {
	*Consumer

	life       *lifetime.Lifetime
	assignment *assignment
	next       int64 // offset to read

	mu     sync.Mutex
	flight chan answer             // of the commit under way; nil for none
	stored int64                   // the offset that Kafka has
	asked  map[int64]chan struct{} // closed: the handler comes to ask for its begin
	begun  map[int64]bool          // by offset: what CommitBeforeCall answered
	ended  map[int64]bool          // without a call
}

// answer is what becomes of a commit.
type answer int

const (
	acknowledged answer = iota
	takenInSilence
	notTaken
	refused
)

func newPartition(t *testing.T, committed int64, atWork int) *partition {
	t.Helper()
	p := &partition{
		life: lifetime.New(t.Context()), next: max(0, committed), stored: committed,
		asked: map[int64]chan struct{}{}, begun: map[int64]bool{}, ended: map[int64]bool{},
	}
	p.Consumer = unconnected(t, p.handle, Options{AtMostOnce: true, MaxAtWork: atWork})
	p.committer.send = p.send
	close(p.started)
	p.group.assigner.begin(p.life, false, 0)
	p.recovery.recover(t.Context(), []journal.Want{{Committed: committed}})
	p.assignment = p.partitions.pick(0)[0]
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

// read polls one more record. Offsets have gaps, and markers.
func (p *partition) read() {
	r := &kgo.Record{Offset: p.next}
	if !p.assignment.isStopping() {
		p.mu.Lock()
		p.asked[p.next] = make(chan struct{})
		p.mu.Unlock()
	}
	p.next += 1 + p.next%2
	p.poller.admit(context.Background(), batch{assignment: p.assignment, records: []*kgo.Record{r}})
	if p.next%3 == 0 {
		p.assignment.pass(p.next-1, -1)
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

// send is the commit under way until it is answered.
func (p *partition) send(_ context.Context, commits map[int32]commit) (map[int32]error, error) {
	flight := make(chan answer)
	p.mu.Lock()
	p.flight = flight
	p.mu.Unlock()
	how := <-flight
	p.mu.Lock()
	defer p.mu.Unlock()
	if how == acknowledged || how == takenInSilence {
		p.stored = commits[0].offset
	}
	switch how {
	case acknowledged:
		return nil, nil
	case refused:
		return map[int32]error{0: kerr.RebalanceInProgress}, nil
	default:
		return nil, errors.New("no answer")
	}
}

// commit has a commit under way, if there is anything to commit.
func (p *partition) commit() {
	if p.underWay() == nil {
		go p.committer.commit(context.Background(), p.partitions.all())
		synctest.Wait()
	}
}

func (p *partition) underWay() chan answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flight
}

// land ends the commit under way, if there is one.
func (p *partition) land(how answer) {
	flight := p.underWay()
	if flight == nil {
		return
	}
	p.mu.Lock()
	p.flight = nil
	p.mu.Unlock()
	flight <- how
	synctest.Wait()
}

func (p *partition) step(what, n int) {
	switch what {
	case 0, 1:
		p.read()
	case 2, 3, 4:
		p.ask(n)
	case 5, 6:
		p.commit()
	case 7, 8:
		p.land(answer(n % 4))
	case 9:
		if n == 0 {
			p.assignment.halt(errHandedOver)
		}
	}
	synctest.Wait()
}

// leave has the partition revoked, with a last commit that is acknowledged.
// Abruptly, its life ends first, and commits go on for a while.
func (p *partition) leave(last answer, abruptly bool) {
	defer p.runner.pool.Close()
	defer p.life.Cut(nil)
	if abruptly {
		p.life.Cut(nil)
		synctest.Wait()
		p.land(last)
		p.assignment.handlers.Wait()
		p.commit()
		p.land(acknowledged)
	}
	p.assignment.halt(errHandedOver)
	synctest.Wait()
	p.land(last)
	revoked := make(chan struct{})
	go func() {
		defer close(revoked)
		p.group.revoked(p.life, []int32{0})
	}()
	synctest.Wait()
	p.land(acknowledged)
	<-revoked
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
		last, abruptly := answer(rapid.IntRange(0, 3).Draw(rt, "last")), rapid.Bool().Draw(rt, "abruptly")
		wrong := ""
		synctest.Test(t, func(t *testing.T) {
			p := newPartition(t, committed, 3)
			for _, s := range steps {
				p.step(s.what, s.n)
			}
			p.leave(last, abruptly)
			wrong = p.wrong()
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
		p := newPartition(t, 0, 10)
		for range 4 { // offsets 0, 1, 3, 5
			p.read()
		}
		p.ask(2)
		synctest.Wait()
		p.commit()
		p.ask(3)
		p.leave(acknowledged, false)
		for offset, want := range map[int64]bool{0: true, 1: true, 3: true, 5: false} {
			if p.begun[offset] != want {
				t.Errorf("offset %d may begin: %v, want %v", offset, p.begun[offset], want)
			}
		}
		if p.stored != 4 {
			t.Errorf("committed %d, want 4: the last commit takes nothing along that has not begun", p.stored)
		}
	})
}

// Whoever loses a partition lets the calls of what it has committed end.
func TestLostPartitionKeepsItsCalls(t *testing.T) {
	t.Parallel()
	calling, end := make(chan struct{}), make(chan struct{})
	var failure error
	c := unconnected(t, func(life *lifetime.Lifetime, _ *models.Record, _ message.Progress, _ *Lease) error {
		close(calling)
		<-life.Waiting().Done()
		<-end
		failure = context.Cause(life.Calls())
		return failure
	}, Options{AtMostOnce: true, MaxAtWork: 1})
	c.group.assigner.begin(lifetime.New(t.Context()), false, 0)
	c.poller.admit(t.Context(), batch{assignment: c.partitions.pick(0)[0], records: []*kgo.Record{{Offset: 7}}})
	<-calling
	c.group.lost([]int32{0})
	close(end)
	if inTime := c.partitions.awaitOutliving(t.Context()); !inTime || failure != nil {
		t.Errorf("in time %v, the call's context: %v, want in time and not cut", inTime, failure)
	}
	c.runner.pool.Close()
}
