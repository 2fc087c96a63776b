package load

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/util"
)

func TestIDsHoldTheirNumber(t *testing.T) {
	t.Parallel()
	run, other := newRunID(), newRunID()
	for range 64 {
		for _, n := range []uint64{0, 1, 9, 1<<47 + 11, 1<<48 - 1, rand.Uint64N(1 << 48)} {
			id := []byte(run.prefix + strings.Repeat("0", idDigits))
			run.put(id, n)
			if !util.IsUUIDv4(string(id)) {
				t.Errorf("%s is no UUID version 4", id)
			}
			if got, ok := run.number(id); !ok || got != n {
				t.Errorf("number(%s) = %d, %v, want %d", id, got, ok, n)
			}
			if _, ok := other.number(id); ok {
				t.Errorf("%s is taken for another run's", id)
			}
		}
		run = newRunID()
	}
	for _, id := range []string{"", run.prefix, run.prefix + "00000000000g", run.prefix + "00000000000A", run.prefix + "0000000000000"} {
		if _, ok := run.number([]byte(id)); ok {
			t.Errorf("%q is taken for an id", id)
		}
	}
}

func TestHistogramIsClose(t *testing.T) {
	t.Parallel()
	var h histogram
	var all []time.Duration
	for range 20000 {
		d := time.Duration(rand.ExpFloat64() * float64(50*time.Millisecond)).Truncate(time.Microsecond)
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.95, 0.99, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		if got := h.quantile(q); got < want || float64(got) > float64(want)*1.01+1000 {
			t.Errorf("quantile(%v) = %v, want %v or up to a hundredth more", q, got, want)
		}
	}
	if s := h.sum(); s.Max != float64(all[len(all)-1].Microseconds())/1000 {
		t.Errorf("max = %v, want %v", s.Max, all[len(all)-1])
	}
}

func TestHistogramTakesEveryDuration(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{-time.Hour, 0, time.Microsecond, 1<<63 - 1} {
		var h histogram
		h.add(d)
		if got, want := h.quantile(0.5), max(d, 0).Truncate(time.Microsecond); got != want {
			t.Errorf("quantile of %v alone = %v, want %v", d, got, want)
		}
	}
	for v := int64(1); v < 1<<61; v += v/3 + 1 {
		i := bucket(v)
		if upper(i) < v || bucket(upper(i)) != i || bucket(upper(i)+1) != i+1 {
			t.Fatalf("%d is in bucket %d, which ends at %d", v, i, upper(i))
		}
	}
}

// Whatever the order of acknowledgements and final events, the counts are
// those of a map, and whole pages are let go.
func TestLedgerCounts(t *testing.T) {
	t.Parallel()
	const n, lost = 3 * pageSize, 2*pageSize + 17
	type step struct {
		n   uint64
		ack bool
	}
	var steps []step
	for i := range uint64(n) {
		steps = append(steps, step{i, true})
		if i != lost {
			steps = append(steps, step{i, false})
		}
	}
	rand.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	l := ledger{pages: map[uint64]*page{}}
	for _, s := range steps {
		if s.ack {
			l.ack(s.n)
		} else if !l.final(s.n) {
			t.Fatalf("end(%d) = false at its first event", s.n)
		}
	}
	if l.final(5) || l.final(lost+1) || l.final(5) {
		t.Error("end() = true for a message that had ended")
	}
	if l.open != 1 || l.extra != 3 {
		t.Errorf("%d are open and %d were too many, want 1 and 3", l.open, l.extra)
	}
	if got := l.lost(10); !slices.Equal(got, []uint64{lost}) {
		t.Errorf("lost() = %v, want %d", got, lost)
	}
	for at, p := range l.pages {
		if (p != nil) != (at == lost/pageSize) {
			t.Errorf("page %d is kept: %v, want the one that is open", at, p != nil)
		}
	}
}

// Every message has one end, of whatever type; only a run with canceled messages
// tells of any.
func TestAwaitCountsEnds(t *testing.T) {
	t.Parallel()
	a := &await{run: newRunID(), ledger: ledger{pages: map[uint64]*page{}}}
	for n, event := range []models.EventType{
		models.EventSent, models.EventFailed, models.EventCanceled, models.EventCanceled, models.EventRetry, models.EventSent,
	} {
		a.acked(uint64(n))
		ev := models.StatusEvent{EventType: event}
		value, err := ev.Encode()
		if err != nil {
			t.Fatal(err)
		}
		a.note(uint64(n), &kgo.Record{Value: value})
	}
	e := a.ends(time.Now(), false)
	if a.ended() != 5 || e.String() != "2 sent, 1 failed, 2 canceled, 1 lost, 0 doubled" {
		t.Errorf("%d ended: %s", a.ended(), e)
	}
	if e := (&Ends{Sent: 1, Open: 2}); e.String() != "1 sent, 0 failed, 2 without an outcome yet, 0 doubled" {
		t.Errorf("a run without canceled messages: %s", e)
	}
}

// A request has exactly the size that was asked for, and the workers take it.
func TestTemplateSizes(t *testing.T) {
	t.Parallel()
	for _, channel := range models.Channels() {
		c, err := config.LoadLimits(func(string) (string, bool) { return "", false }, string(channel))
		if err != nil {
			t.Fatal(err)
		}
		check, body := ops.Checker(c), c.Limits.SMSBodyRunes
		p := Payload{Channel: channel, Meta: map[string]string{"scenario": "permanent"}, Body: body}
		least, err := p.template(newRunID())
		if err != nil {
			t.Fatal(err)
		}
		sizes := []int{0, len(least.value), len(least.value) + 1, 100_000}
		for n := -20; n < 20; n++ { // about where body.content is full
			sizes = append(sizes, len(least.value)+body-len(content)+n)
		}
		for _, p.Size = range sizes {
			run := newRunID()
			got, err := p.template(run)
			if err != nil || len(got.value) != max(p.Size, len(least.value)) && p.Size != 0 {
				t.Fatalf("template of %d bytes has %d: %v", p.Size, len(got.value), err)
			}
			run.put(got.value[got.id:][:idLen], 1<<47)
			copy(got.value[got.time:], "2025-10-16T09:31:15.000Z")
			if v := check(&models.Record{Value: got.value}); len(v.Violations) > 0 || !v.Envelope.CreatedAt.Equal(time.Date(2025, 10, 16, 9, 31, 15, 0, time.UTC)) {
				t.Fatalf("%s: %v", got.value, v.Violations)
			}
			var wire struct {
				ID string `json:"message_id"`
			}
			if err := json.Unmarshal(got.value, &wire); err != nil || wire.ID != run.prefix+"800000000000" {
				t.Fatalf("the id is %s: %v", wire.ID, err)
			}
		}
		if p.Size = len(least.value) - 1; true {
			if _, err := p.template(newRunID()); err == nil {
				t.Error("a size below the least is taken")
			}
		}
	}
}
