package dlq

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/patch"
	"messaging-worker/internal/ops/scan"
)

// MaxReplays is how often a request is put back without force.
const MaxReplays = 3

// Options of a replay. Group and the callbacks are required; without more all
// letters are replayed.
type Options struct {
	Filter Filter
	Edits  []patch.Edit // made in each request, after it was narrowed
	Group  string       // names the batch and holds its progress
	Rate   float64      // requests a second; zero means as fast as it goes
	DryRun bool         // decide and report, and change nothing
	Force  bool         // also more than MaxReplays, and what seems to be under way or was canceled

	// Confirm is asked once how many letters there are, where there are any; its
	// error ends the replay before anything was put back.
	Confirm func(letters int) error

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

// Replay puts the requests of dead letters back on their topic. It goes on
// where the batch stopped, up to the letters that are there at its start. When
// ctx ends, what is under way is still acknowledged and its progress committed;
// the cause of ctx is returned with the summary so far.
func Replay(ctx context.Context, c *config.Config, o Options) (Summary, error) {
	r := &replay{config: c, Options: o, check: ops.Checker(c)}
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
		if err := o.Confirm(r.summary.Letters); err != nil {
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
	reading      *kgo.Client
	writing      *kgo.Client
	letters      *scan.Topic
	requests     *scan.Topic
	progress     *progress
	history      *history
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
	if r.requests, err = scan.Open(ctx, r.reading, r.config.Kafka.RequestTopic); err != nil {
		return err
	}
	status, err := scan.Open(ctx, r.reading, r.config.Kafka.StatusTopic)
	if err != nil {
		return err
	}
	r.writing, err = ops.Connect(
		ctx, r.config, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(r.maxBytes(ctx)),
	)
	if err != nil {
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
	for _, client := range []*kgo.Client{r.reading, r.writing} {
		if client != nil {
			client.Close()
		}
	}
}

// maxBytes returns the request topic's limit, so that no batch is refused for
// its neighbours and no request that was let in once is too large now.
func (r *replay) maxBytes(ctx context.Context) int32 {
	const usual, most = 1_000_012, 64 << 20
	n, err := kafka.MaxMessageBytes(ctx, r.reading, r.requests.Name)
	if err != nil || n < 1 {
		return usual // who may not ask gets Kafka's default
	}
	return int32(min(n, most))
}

// survey reads the letters once to learn how many there are, whose events
// matter, and which of them have come back since.
func (r *replay) survey(ctx context.Context, spans []scan.Span) error {
	r.replays, r.latest = map[string]int{}, map[Position]Position{}
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
		if l.Source != (Position{}) {
			r.latest[l.Source] = l.Record
		}
		r.history.watch(l.MessageID)
		if at := l.began(); r.summary.Letters == 1 || at.Before(oldest) {
			oldest = at
		}
		return nil
	})
	if err != nil || r.summary.Letters == 0 {
		return err
	}
	return r.history.start(ctx, oldest)
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

func (r *replay) partition(l *Letter, key []byte) int32 {
	n := r.requests.Partitions()
	// Where the request lay before: so it stays with the events that there
	// are of it, whatever partitioner its producer uses.
	if l.Source.Topic == r.requests.Name && int(l.Source.Partition) < n {
		return l.Source.Partition
	}
	return scan.Murmur2(key, n)
}

func (r *replay) report(v *Verdict) error {
	r.summary.count(v)
	if err := r.OnVerdict(v); err != nil {
		return fmt.Errorf("tell of %s: %w", v.Record, err)
	}
	return nil
}
