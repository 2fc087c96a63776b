package orders_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
)

// step is one thing that happens to a board of SMS: a record of an order, or of
// its lifting; a message comes or goes; time passes; all is read again.
type step struct {
	kind    string
	order   models.Order
	message orders.Message
	which   int // of the messages at work
	pass    time.Duration
}

// drawOrder draws an order of few scopes, so that orders meet.
func drawOrder(r *rapid.T) models.Order {
	from := func(texts ...string) string { return rapid.SampledFrom(texts).Draw(r, "text") }
	o := models.Order{
		Action: models.Action(from("pause", "pause", "cancel", "cancel", "rate")), Channel: models.Channel(from("sms", "sms", "email")),
		Reason: from("one", "two", "three"), By: "test", At: time.Unix(rapid.Int64Range(0, 3).Draw(r, "at"), 0),
	}
	narrow := from("", "", "tenant", "tenant", "provider", "meta", "id")
	switch {
	case o.Action == models.ActionRate:
		o.PerSecond = float64(rapid.IntRange(1, 9).Draw(r, "rate"))
		o.Provider = from("", "p", "q")
		return o
	case narrow == "id" && o.Action == models.ActionCancel:
		o.Channel, o.MessageID = "", from("1", "2", "3")
		return o
	case narrow == "tenant":
		o.Tenant = from("a", "b")
	case narrow == "provider" && o.Action == models.ActionPause:
		o.Provider = from("p", "q")
	case narrow == "meta":
		o.Meta = map[string]string{"k": from("x", "")}
	}
	o.Lane = models.Lane(from("", "", "high", "bulk"))
	return o
}

func drawMessage(r *rapid.T) orders.Message {
	from := func(texts ...string) string { return rapid.SampledFrom(texts).Draw(r, "text") }
	m := orders.Message{ID: from("1", "2", "3", "4"), Lane: models.Lane(from("high", "bulk")), Tenant: from("", "a", "b"), Provider: from("p", "q")}
	switch from("", "x", "none") {
	case "x":
		m.Meta = map[string]string{"k": "x", "l": "x"}
	case "none":
		m.Meta = map[string]string{"k": ""}
	}
	return m
}

func drawSteps(r *rapid.T) []step {
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) step {
		kinds := []string{"give", "give", "repeat", "lift", "comes", "comes", "goes", "passes", "again", "odd"}
		return step{
			kind: rapid.SampledFrom(kinds).Draw(r, "kind"), order: drawOrder(r), message: drawMessage(r),
			which: rapid.IntRange(0, 9).Draw(r, "which"), pass: time.Duration(rapid.IntRange(-1, 300).Draw(r, "seconds")) * time.Second,
		}
	}), 10, 60).Draw(r, "steps")
}

// model is what a board ought to say, found the long way: of the records of each
// key the last, as long as its time has not come.
type model struct {
	r       *rapid.T
	board   *orders.Board
	last    map[string]*models.Order
	mu      sync.Mutex
	told    map[string]string // what is in force by the changes that were told, by key
	at      []*atWork
	content [][2][]byte // of the topic
}

// atWork is a message, and three who wait for it.
type atWork struct {
	message          orders.Message
	watch            *orders.Watch
	before           error // how it stood when they began
	free, uncanceled context.Context
	cancels          []context.CancelFunc
	await            chan error // of who awaits; nil for nobody
}

// Whatever orders are given, lifted and expire, whatever messages come and go, and
// however often the topic is read again: each message stands as the orders in
// force say, and who waits for it is told at once, and of nothing else.
func TestBoardIsLikeItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		steps := drawSteps(r)
		synctest.Test(t, func(t *testing.T) {
			m := &model{r: r, last: map[string]*models.Order{}, told: map[string]string{}}
			m.board = orders.New(models.SMS, m.tell)
			for i := range steps {
				m.take(t.Context(), &steps[i])
				synctest.Wait()
				m.check(t.Context(), fmt.Sprintf("step %d, %s", i, steps[i].kind))
				synctest.Wait()
			}
			for _, w := range m.at {
				m.end(w)
			}
		})
	})
}

func (m *model) tell(changes []orders.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		if delete(m.told, c.Order.Key()); c.Kind == orders.Given {
			m.told[c.Order.Key()] = said(c.Order)
		}
	}
}

// said is what an order says beside its key.
func said(o *models.Order) string {
	return fmt.Sprint(o.Reason, o.PerSecond, o.At.Unix(), o.Until.UnixNano())
}

func (m *model) take(ctx context.Context, s *step) {
	switch s.kind {
	case "give", "repeat":
		o := s.order
		if known := slices.Sorted(maps.Keys(m.last)); s.kind == "repeat" && s.which < len(known) {
			o = *m.last[known[s.which]]
			o.Reason += " again"
		}
		o.Until = time.Now().Add(s.pass)
		value, err := o.Encode()
		m.apply([]byte(o.Key()), value, errors.Join(err, m.board.Apply([]byte(o.Key()), value)))
		m.last[o.Key()] = &o
	case "lift":
		key := s.order.Key()
		if known := slices.Sorted(maps.Keys(m.last)); s.which < len(known) {
			key = known[s.which]
		}
		m.apply([]byte(key), nil, m.board.Apply([]byte(key), nil))
		delete(m.last, key)
	case "odd":
		if m.board.Apply([]byte(s.order.Key()), []byte(`{"action":"pause"}`)) == nil || m.board.Apply([]byte("odd"), nil) == nil {
			m.r.Errorf("an odd record is taken for an order")
		}
	case "comes":
		m.at = append(m.at, &atWork{message: s.message, watch: m.board.Watch(s.message)})
		m.wait(ctx, m.at[len(m.at)-1])
	case "goes":
		if i := s.which; i < len(m.at) {
			m.end(m.at[i])
			m.at = slices.Delete(m.at, i, i+1)
		}
	case "passes":
		time.Sleep(max(0, s.pass))
	case "again":
		m.again(s.which)
	}
}

func (m *model) apply(key, value []byte, err error) {
	if err != nil {
		m.r.Errorf("Apply(%q, %q) = %v", key, value, err)
	}
	m.content = append(m.content, [2][]byte{key, value})
}

// again reads the topic again, of which some records are gone: the first ones, or
// for 5 and more the last.
func (m *model) again(which int) {
	m.board.Reread()
	n := len(m.content)
	m.content = m.content[min(which%5, n)*(1-which/5) : n-min(which%5, n)*(which/5)]
	m.last = map[string]*models.Order{}
	for _, rec := range m.content {
		_ = m.board.Apply(rec[0], rec[1])
		delete(m.last, string(rec[0]))
		if o, err := models.DecodeOrder(rec[0], rec[1]); err == nil {
			m.last[o.Key()] = o
		}
	}
	m.board.Complete()
}

func (m *model) inForce() map[string]*models.Order {
	in := map[string]*models.Order{}
	for key, o := range m.last {
		if o.Until.After(time.Now()) && (o.Channel == models.SMS || o.MessageID != "") {
			in[key] = o
		}
	}
	return in
}

// standing is how a message ought to stand.
func (m *model) standing(msg *orders.Message) error {
	var cancels []*models.Order
	paused := false
	for _, o := range m.inForce() {
		is := o.MessageID == "" && (o.Lane == "" || o.Lane == msg.Lane) && (o.Tenant == "" || o.Tenant == msg.Tenant) &&
			(o.Provider == "" || o.Provider == msg.Provider)
		for k, v := range o.Meta {
			got, ok := msg.Meta[k]
			is = is && ok && got == v
		}
		paused = paused || is && o.Action == models.ActionPause
		if is && o.Action == models.ActionCancel || o.MessageID == msg.ID {
			cancels = append(cancels, o)
		}
	}
	if len(cancels) > 0 {
		first := slices.MinFunc(cancels, func(a, b *models.Order) int {
			own := func(o *models.Order) int { return strings.Count(o.MessageID, msg.ID) }
			return cmp.Or(own(b)-own(a), a.At.Compare(b.At), strings.Compare(a.Key(), b.Key()))
		})
		return &orders.Canceled{Reason: first.Reason}
	}
	if paused {
		return orders.ErrPaused
	}
	return nil
}

func (m *model) check(ctx context.Context, when string) {
	in := m.inForce()
	for _, w := range m.at {
		m.checkMessage(ctx, when, w)
	}
	var keys []string
	paused := 0
	for _, o := range m.board.InForce(100) {
		keys = append(keys, o.Key())
	}
	for _, o := range in {
		if o.Action == models.ActionPause {
			paused++
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(keys)
	if want := slices.Sorted(maps.Keys(in)); !slices.Equal(keys, want) || m.board.Paused() != paused {
		m.r.Errorf("%s: in force are %q, %d pauses, want %q and %d", when, keys, m.board.Paused(), want, paused)
	}
	for key, o := range in {
		if m.told[key] != said(o) || len(m.told) != len(in) {
			m.r.Errorf("%s: told was %v, want %v", when, m.told, in)
		}
	}
	for _, provider := range []string{"p", "q"} {
		want := 0.0
		for _, key := range []string{"rate/sms", "rate/sms/provider/" + provider} {
			if o := in[key]; o != nil {
				want = o.PerSecond
			}
		}
		if got, ordered := m.board.GroupRate(provider); got != want || ordered != (want > 0) {
			m.r.Errorf("%s: the rate of %s is %v, %v, want %v", when, provider, got, ordered, want)
		}
	}
}

func (m *model) checkMessage(ctx context.Context, when string, w *atWork) {
	want := m.standing(&w.message)
	if got := w.watch.Standing(); fmt.Sprint(got) != fmt.Sprint(want) {
		m.r.Errorf("%s: %v stands as %v, want %v", when, w.message, got, want)
	}
	// In one step at most one order is given, so that none was in force meanwhile.
	if ended, is := w.free.Err() != nil, want != nil || w.before != nil; ended != is {
		m.r.Errorf("%s: %v was %v and is %v: who waits for that is told: %v", when, w.message, w.before, want, ended)
	}
	if ended, is := w.uncanceled.Err() != nil, isCancel(want) || isCancel(w.before); ended != is {
		m.r.Errorf("%s: %v was %v and is %v: who waits for a cancel is told: %v", when, w.message, w.before, want, ended)
	}
	select {
	case err := <-w.await:
		if w.await = nil; fmt.Sprint(err) != fmt.Sprint(want) {
			m.r.Errorf("%s: Await of %v = %v, want %v", when, w.message, err, want)
		}
	default:
		if w.await != nil && !errors.Is(want, orders.ErrPaused) {
			m.r.Errorf("%s: Await of %v goes on, want %v", when, w.message, want)
		}
	}
	m.wait(ctx, w)
}

func isCancel(err error) bool {
	_, is := errors.AsType[*orders.Canceled](err)
	return is
}

// wait has all three wait anew; Await where it does wait.
func (m *model) wait(ctx context.Context, w *atWork) {
	for _, cancel := range w.cancels {
		cancel()
	}
	var cancel, cancel2 context.CancelFunc
	w.free, cancel = w.watch.Free(ctx)
	w.uncanceled, cancel2 = w.watch.Uncanceled(ctx)
	w.cancels, w.before = []context.CancelFunc{cancel, cancel2}, m.standing(&w.message)
	switch {
	case w.await != nil:
	case errors.Is(w.before, orders.ErrPaused):
		done := make(chan error, 1)
		w.await = done
		go func() { done <- w.watch.Await(ctx) }()
	default:
		if err := w.watch.Await(ctx); fmt.Sprint(err) != fmt.Sprint(w.before) {
			m.r.Errorf("Await of %v = %v, want %v", w.message, err, w.before)
		}
	}
}

func (m *model) end(w *atWork) {
	for _, cancel := range w.cancels {
		cancel()
	}
	w.watch.End()
}
