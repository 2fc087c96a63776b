package route

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// Over any hundred grants during which a lower lane waits and could go, it gets
// its share, whatever the other lanes do and however long it was away before.
func TestShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		percent := rapid.IntRange(0, 30).Draw(r, "percent")
		s := newShares(float64(percent) / 100)
		var got, waited [lanes][]bool
		for len(got[0]) < 600 {
			var can [lanes]bool
			for lane := range can {
				can[lane] = rapid.IntRange(0, 20).Draw(r, "waits") > 0
			}
			for range rapid.IntRange(1, 250).Draw(r, "grants") {
				to, ok := s.next(can)
				if !ok {
					break
				}
				s.granted(to, can)
				for lane := range can {
					got[lane], waited[lane] = append(got[lane], lane == to), append(waited[lane], can[lane])
				}
			}
		}
		for lane := 1; lane < lanes; lane++ {
			for from := 0; from+100 <= len(got[lane]); from++ {
				n := 0
				for _, g := range got[lane][from : from+100] {
					if g {
						n++
					}
				}
				if n < percent && !slices.Contains(waited[lane][from:from+100], false) {
					r.Fatalf("lane %d got %d of a hundred grants from %d on, want %d", lane, n, from, percent)
				}
			}
		}
	})
}

// Attempts are ahead of calls that hang as far as each lane gets its share, and
// the most urgent lane as far as if it were alone.
func TestAheadOfHangingCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{Concurrency: 20, LowerShare: .1})
		ask := func(lane models.Lane) *Attempt {
			a := &Attempt{Lease: ours{}, Delivery: &common.Delivery{}, Lane: lane}
			r.askToAdmit(a, 1, nil)
			return a
		}
		for range 20 {
			if _, w := r.askToStart(ask(models.LaneNormal), nil); w != nil {
				t.Fatal("a call waits while a slot is free")
			}
		}
		time.Sleep(time.Second)
		for _, lane := range []models.Lane{models.LaneNormal, models.LaneBulk, models.LaneHigh} {
			for range 10 {
				ask(lane)
			}
		}
		if want := [lanes]int{5, 5, 2}; r.ahead != want {
			t.Errorf("%v calls are ahead by lane, want %v", r.ahead, want)
		}
	})
}

// one is an attempt of the model, and what it has done.
type one struct {
	*Attempt

	calls  int
	waits  *waiter // nil: for nothing
	starts bool    // waits to be started, and not to be admitted
	made   []Call  // under way
}

// model drives a route by the steps of single attempts, without goroutines, and
// knows from its own lists what must hold.
type model struct {
	*rapid.T

	failed   string // the first thing that does not hold
	route    *Route
	reserved int
	bounded  bool // fewer calls than slots have been allowed
	all      []*one
}

func (m *model) some(label string, match func(*one) bool) *one {
	var list []*one
	for _, o := range m.all {
		if match(o) {
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(m.T, label)]
}

func (m *model) admit() {
	sender := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(m.T, "sender")
	o := &one{calls: rapid.IntRange(1, 3).Draw(m.T, "calls")}
	if m.route.senderRate > 0 {
		o.calls = 1
	}
	o.Attempt = &Attempt{
		Lease: ours{}, Delivery: &common.Delivery{Sender: sender, Recipients: []string{"r"}},
		Lane: rapid.SampledFrom([]models.Lane{models.LaneHigh, models.LaneNormal, models.LaneBulk}).Draw(m.T, "lane"),
	}
	o.waits = m.route.askToAdmit(o.Attempt, o.calls, nil)
	m.all = append(m.all, o)
}

func (m *model) start() {
	o := m.some("starts", func(o *one) bool { return o.waits == nil && o.admitted > 0 })
	if o == nil || !m.route.reserve(o.Attempt) {
		return
	}
	var c Call
	if c, o.waits = m.route.askToStart(o.Attempt, nil); o.waits == nil {
		o.made = append(o.made, c)
	}
	o.starts = o.waits != nil
}

func (m *model) end() {
	o := m.some("ends", func(o *one) bool { return len(o.made) > 0 })
	if o == nil {
		return
	}
	c := o.made[0]
	o.made = o.made[1:]
	m.route.End(c, Outcome{Cut: true})
}

func (m *model) withdraw() {
	if o := m.some("is withdrawn", func(o *one) bool { return o.waits == nil && o.admitted > 0 }); o != nil {
		m.route.Withdraw(o.Attempt, 1)
	}
}

func (m *model) giveUp() {
	o := m.some("gives up", func(o *one) bool { return o.waits != nil })
	if o == nil {
		return
	}
	m.route.mu.Lock()
	m.route.leave(o.waits)
	if o.starts {
		o.admitted++ // as Start does
	}
	o.waits = nil
	m.route.mu.Unlock()
}

func (m *model) fail(format string, args ...any) {
	if m.failed == "" {
		m.failed = fmt.Sprintf(format, args...)
	}
}

// take takes what was granted, and checks it against those who were passed over.
func (m *model) take(strict bool) {
	for _, o := range m.all {
		if o.waits == nil || !o.waits.granted {
			continue
		}
		for _, other := range m.all {
			w := other.waits
			if w == nil || w.granted || other.starts != o.starts || m.route.senderRate > 0 && !o.starts {
				continue
			}
			if other.Lane == o.Lane && w.number < o.waits.number {
				m.fail("in lane %s number %d was granted before %d", o.Lane, o.waits.number, w.number)
			}
			if strict && o.starts && other.rank() < o.rank() {
				m.fail("lane %s starts while %s waits", o.Lane, other.Lane)
			}
		}
	}
	for _, o := range m.all {
		if o.waits != nil && o.waits.granted {
			if o.starts {
				o.made = append(o.made, o.waits.call)
			}
			o.waits = nil
		}
	}
}

// check compares the route with the model's own count, and finds who waits
// though nothing stands in the way.
func (m *model) check() {
	r, now := m.route, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	var ahead [lanes]int
	lower, calls := 0, 0
	for _, o := range m.all {
		ahead[o.rank()] += o.admitted
		calls += len(o.made)
		if o.rank() > 0 {
			lower += len(o.made)
		}
		if o.waits != nil && o.starts {
			ahead[o.rank()]++
		}
	}
	if ahead != r.ahead || calls != r.calls || lower != r.lower {
		m.fail("ahead %v, calls %d, lower %d; want %v, %d, %d", r.ahead, r.calls, r.lower, ahead, calls, lower)
	}
	if most := r.concurrency - m.reserved; lower > most && !m.bounded {
		m.fail("%d calls of the lower lanes are under way, want at most %d", lower, most)
	}
	if r.opened != nil {
		return
	}
	for _, o := range m.all {
		switch {
		case o.waits == nil:
		case o.starts && r.freeFor(o.rank()) > 0 && r.provider.wait(now) == 0 && r.group.wait(now) == 0:
			m.fail("a call of lane %s waits while a slot is free", o.Lane)
		case !o.starts && r.ahead[o.rank()] == 0 && (o.sender == nil || o.sender.wait(now) == 0 && o.sender.first == o.waits):
			m.fail("an attempt of lane %s waits while nothing of its lane is ahead", o.Lane)
		case !o.starts && r.freeFor(o.rank()) <= 0 && o.sender.outranked() && o.sender.first == o.waits && r.admits[o.rank()].head() == o.waits:
			m.fail("an attempt of lane %s that has no slot stands before a more urgent one of its sender", o.Lane)
		case !o.starts && o.sender != nil && o.sender.first == nil && o.sender.wait(now) == 0:
			m.fail("an attempt waits for its sender's rate, and there is a token")
		}
	}
}

// Whatever attempts come, are made, withdrawn or give up, and however slots,
// pauses and rates change meanwhile: the lanes go in their order, the lower ones
// leave the reserve free, and nobody waits for what is there.
func TestRouteAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m, thrown := &model{T: r}, any(nil) // r wants its panics in its own goroutine
		synctest.Test(t, func(*testing.T) {
			defer func() { thrown = recover() }()
			m.drive()
		})
		if thrown != nil {
			panic(thrown)
		}
		if m.failed != "" {
			r.Fatal(m.failed)
		}
	})
}

func (m *model) drive() {
	slots := rapid.IntRange(1, 12).Draw(m.T, "slots")
	share := rapid.SampledFrom([]float64{0, .1, .3}).Draw(m.T, "share")
	m.reserved = rapid.IntRange(0, slots-1).Draw(m.T, "reserved")
	m.route = New(Options{Concurrency: slots, Reserved: m.reserved, LowerShare: share, Rates: Rates{
		Sender: rapid.SampledFrom([]float64{0, 0, 5}).Draw(m.T, "sender rate"),
		Group:  rapid.SampledFrom([]float64{0, 0, 50}).Draw(m.T, "group rate"),
	}})
	m.route.Share(1)
	for range rapid.IntRange(50, 400).Draw(m.T, "steps") {
		m.step(rapid.IntRange(0, 11).Draw(m.T, "step"))
		synctest.Wait()
		m.take(share == 0)
		m.check()
		if m.failed != "" {
			return
		}
	}
}

func (m *model) step(n int) {
	switch n {
	case 0, 1, 2:
		m.admit()
	case 3, 4:
		m.start()
	case 5, 6:
		m.end()
	case 7:
		m.withdraw()
	case 8:
		m.giveUp()
	case 9:
		m.route.Bound(rapid.IntRange(1, m.route.concurrency).Draw(m.T, "bound"))
		m.bounded = true
	case 10:
		m.route.Pause(time.Now().Add(time.Duration(rapid.IntRange(1, 200).Draw(m.T, "pause in ms")) * time.Millisecond))
	case 11:
		if m.route.group != nil {
			m.route.SetGroupRate(float64(rapid.IntRange(10, 100).Draw(m.T, "group rate")))
		}
		// And a little, for a timer may be set to a nanosecond too late.
		time.Sleep(time.Duration(rapid.IntRange(1, 300).Draw(m.T, "passes, in ms"))*time.Millisecond + time.Microsecond)
	}
}
