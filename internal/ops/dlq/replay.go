package dlq

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/control"
	"messaging-worker/internal/ops/patch"
	"messaging-worker/internal/ops/scan"
	"messaging-worker/internal/orders"
)

// MaxReplays is how often a request is put back without force.
const MaxReplays = 3

// Options of a replay. Group and the callbacks are required; without more all
// letters are replayed.
type Options struct {
	Filter Filter
	Edits  []patch.Edit // made in each request, after it was narrowed
	ToLane models.Lane  // where all go; empty: each back to where it came from
	Group  string       // names the batch and holds its progress
	Rate   float64      // requests a second; zero means as fast as it goes
	DryRun bool         // decide and report, and change nothing
	Force  bool         // also more than MaxReplays, and what seems to be under way or was canceled

	// Confirm is asked once how many letters there are and which topics their
	// requests go to, where there are any; its error ends the replay before
	// anything was put back.
	Confirm func(letters int, topics []string) error

	// OnVerdict is called with what became of each letter, in order.
	OnVerdict func(*Verdict) error
}

// Summary is what a replay came to.
type Summary struct {
	Group    string         `json:"group"`
	Letters  int            `json:"letters"`  // that the filter chose
	Replayed int            `json:"replayed"` // put back and acknowledged
	Narrowed int            `json:"narrowed"` // of these, to some of their recipients
	Skipped  map[Reason]int `json:"skipped"`  // they need no replay
	Refused  map[Reason]int `json:"refused"`  // they could not be replayed
	Expiring int            `json:"expiring"` // of the replayed, too old by MESSAGE_MAX_AGE_SECONDS
	Foreign  int            `json:"foreign"`  // records that are no dead letters
}

func (s *Summary) count(v *Verdict) {
	switch v.Outcome {
	case Replayed:
		s.Replayed++
		if v.Narrowed > 0 {
			s.Narrowed++
		}
		if v.Expiring {
			s.Expiring++
		}
	case Skipped:
		s.Skipped[v.Reason]++
	case Refused:
		s.Refused[v.Reason]++
	}
}

// Replay puts the requests of dead letters back on their topics, or on that of
// one lane. Where a topic is no lane's any more it is the normal one. It goes on
// where the batch stopped, up to the letters that are there at its start. When
// ctx ends, what is under way is still acknowledged and its progress committed;
// the cause of ctx is returned with the summary so far.
func Replay(ctx context.Context, c *config.Config, o Options) (Summary, error) {
	r := &replay{config: c, Options: o, check: ops.Checker(c), byTopic: ops.LanesOf(c)}
	r.Filter.ByTopic = r.byTopic
	r.summary = Summary{Group: o.Group, Skipped: map[Reason]int{}, Refused: map[Reason]int{}}
	defer r.close()
	if err := r.open(ctx); err != nil {
		return r.summary, err
	}
	spans, err := r.progress.spans(ctx, o.Filter.Since)
	if err != nil {
		return r.summary, err
	}
	if err := r.survey(ctx, spans); err != nil {
		return r.summary, err
	}
	if r.summary.Letters > 0 {
		if err := o.Confirm(r.summary.Letters, r.targets()); err != nil {
			return r.summary, err
		}
	}
	return r.summary, r.run(ctx, spans)
}

// replay is one run of a batch.
type replay struct {
	Options

	config       *config.Config
	check        func(*models.Record) ops.Check
	byTopic      ops.Lanes
	reading      *kgo.Client
	letters      *scan.Topic
	lanes        lanes                // that are open
	goTo         map[models.Lane]bool // those that requests go to
	originals    map[models.Lane]bool // those where some lie that are not in their letters
	progress     *progress
	history      *history
	orders       *orders.Board         // in force when the run began; nil: none
	replays      map[string]int        // highest replay count of letters by id, where above zero
	latest       map[Position]Position // the last letter of each delivery that was chosen
	limiter      *rate.Limiter
	pending      []*entry
	checkpointed time.Time // when progress was last committed
	summary      Summary
}

func (r *replay) open(ctx context.Context) error {
	var err error
	if r.reading, err = ops.Connect(ctx, r.config); err != nil {
		return err
	}
	if r.letters, err = scan.Open(ctx, r.reading, r.config.Kafka.DLQTopic); err != nil {
		return err
	}
	if err := r.openLane(ctx, cmp.Or(r.ToLane, models.LaneNormal)); err != nil {
		return err
	}
	status, err := scan.Open(ctx, r.reading, r.config.Kafka.StatusTopic)
	if err != nil {
		return err
	}
	if r.orders, err = control.BoardOf(ctx, r.reading, r.config); err != nil {
		return err
	}
	r.history = newHistory(status)
	r.progress = &progress{admin: kadm.NewClient(r.reading), group: r.Group, topic: r.letters}
	r.limiter = rate.NewLimiter(rate.Inf, 1)
	if r.Rate > 0 {
		r.limiter.SetLimit(rate.Limit(r.Rate))
	}
	return nil
}

func (r *replay) close() {
	r.lanes.close()
	if r.reading != nil {
		r.reading.Close()
	}
}

// survey reads the letters once to learn how many there are, whose events
// matter, which of them have come back since, and which lanes they need.
func (r *replay) survey(ctx context.Context, spans []scan.Span) error {
	r.replays, r.latest = map[string]int{}, map[Position]Position{}
	r.goTo, r.originals = map[models.Lane]bool{}, map[models.Lane]bool{}
	var oldest time.Time
	err := r.letters.Read(ctx, spans, nil, func(rec *kgo.Record) error {
		l, err := Parse(rec)
		if err != nil {
			return nil //nolint:nilerr // run counts what is no dead letter
		}
		if l.Replays > 0 {
			r.replays[l.MessageID] = max(r.replays[l.MessageID], l.Replays)
		}
		if _, chosen := r.latest[l.Source]; chosen {
			r.latest[l.Source] = l.Record // one key, one partition: the later one
		}
		if !r.Filter.Match(l) || l.Batch == r.Group {
			return nil
		}
		r.summary.Letters++
		r.choose(l)
		if at := l.began(); r.summary.Letters == 1 || at.Before(oldest) {
			oldest = at
		}
		return nil
	})
	if err != nil || r.summary.Letters == 0 {
		return err
	}
	if err := r.openLanes(ctx); err != nil {
		return err
	}
	return r.history.start(ctx, oldest)
}

// choose notes what the replay of a letter needs.
func (r *replay) choose(l *Letter) {
	if l.Source != (Position{}) {
		r.latest[l.Source] = l.Record
	}
	r.history.watch(l.MessageID)
	r.goTo[r.lane(l)] = true
	if name, ours := r.byTopic[l.Source.Topic]; ours && l.Omitted() {
		r.originals[name] = true
	}
}

// began returns a time before which nothing happened to the letter's request,
// or the zero time where none is known. Whatever timestamps the records have:
// a time that is too late would hide that the request was sent since.
func (l *Letter) began() time.Time {
	var first time.Time
	for _, at := range []time.Time{l.SentAt, l.FirstFailedAt, l.written()} {
		if models.UsableTime(at) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// written returns when the letter was written, by its record or else by what
// it says itself.
func (l *Letter) written() time.Time {
	if models.UsableTime(l.Timestamp) {
		return l.Timestamp
	}
	return l.LastAttemptAt
}

func (r *replay) report(v *Verdict) error {
	r.summary.count(v)
	if err := r.OnVerdict(v); err != nil {
		return fmt.Errorf("tell of %s: %w", v.Record, err)
	}
	return nil
}
