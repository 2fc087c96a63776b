// Package alerts_test causes what each alert is about in a real worker, and
// has Prometheus's engine evaluate the rules on what the worker exports.
package alerts_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

const folder = "../../deploy/observability/"

func TestMain(m *testing.M) { os.Exit(stage.Main(m, "alerts")) }

// history is what was scraped, a minute apart in the engine's time.
type history struct {
	series map[string]*series
	begun  time.Time // since when Prometheus runs
	now    time.Time // of the latest scrape
}

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
}

type sample struct {
	t int64
	v float64
}

func newHistory() *history {
	begun := time.Unix(1_800_000_000, 0)
	return &history{series: map[string]*series{}, begun: begun, now: begun}
}

// away restarts Prometheus: for that long it scrapes and evaluates nothing.
func (h *history) away(d time.Duration) {
	h.now = h.now.Add(d)
	h.begun = h.now
}

// scrape reads the workers' metrics as of the next minute. A nil stands for a
// worker that Prometheus looks for and that does not answer. What was there
// before and is not any more ends there and then, as in Prometheus.
func (h *history) scrape(t *testing.T, workers ...*stage.Worker) {
	t.Helper()
	h.now = h.now.Add(time.Minute)
	for i, w := range workers {
		target := labels.FromStrings("instance", fmt.Sprintf("worker-%d:8080", i), "job", "messaging-workers")
		if w == nil {
			h.add("up", labels.NewBuilder(target), 0)
			continue
		}
		h.add("up", labels.NewBuilder(target), 1)
		h.read(t, w, target)
	}
	h.endOthers()
}

// endOthers marks every series that has no sample of this minute as ended.
func (h *history) endOthers() {
	for _, s := range h.series {
		last := s.samples[len(s.samples)-1]
		if last.T() != h.now.UnixMilli() && !value.IsStaleNaN(last.F()) {
			s.samples = append(s.samples, newSample(h.now.UnixMilli(), math.Float64frombits(value.StaleNaN)))
		}
	}
}

// read adds what a worker exports.
func (h *history) read(t *testing.T, w *stage.Worker, target labels.Labels) {
	t.Helper()
	code, body := w.Get("/metrics")
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d", code)
	}
	reader := expfmt.NewTextParser(model.UTF8Validation)
	families, err := reader.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			b := labels.NewBuilder(target)
			for _, l := range m.GetLabel() {
				b.Set(l.GetName(), l.GetValue())
			}
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				h.add(name, b, m.GetCounter().GetValue())
			case dto.MetricType_GAUGE:
				h.add(name, b, m.GetGauge().GetValue())
			case dto.MetricType_HISTOGRAM:
				h.add(name+"_count", b, float64(m.GetHistogram().GetSampleCount()))
				h.add(name+"_sum", b, m.GetHistogram().GetSampleSum())
				for _, bucket := range m.GetHistogram().GetBucket() {
					h.add(name+"_bucket", labels.NewBuilder(b.Labels()).Set("le", labels.FormatOpenMetricsFloat(bucket.GetUpperBound())), float64(bucket.GetCumulativeCount()))
				}
			}
		}
	}
}

func (h *history) add(name string, b *labels.Builder, v float64) {
	l := b.Set(labels.MetricName, name).Labels()
	s, ok := h.series[l.String()]
	if !ok {
		s = &series{labels: l}
		h.series[l.String()] = s
	}
	s.samples = append(s.samples, newSample(h.now.UnixMilli(), v))
}

// Querier implements storage.Queryable.
func (h *history) Querier(_, _ int64) (storage.Querier, error) { return querier{h}, nil }

type querier struct{ *history }

func (q querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) Close() error { return nil }

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &found{}
next:
	for _, s := range q.series {
		for _, m := range matchers {
			if !m.Matches(s.labels.Get(m.Name)) {
				continue next
			}
		}
		set.list = append(set.list, storage.NewListSeries(s.labels, s.samples))
	}
	return set
}

// found is a set of series in no order.
type found struct {
	list []storage.Series
	at   storage.Series
}

func (f *found) Next() bool {
	if len(f.list) == 0 {
		return false
	}
	f.at, f.list = f.list[0], f.list[1:]
	return true
}
func (f *found) At() storage.Series                { return f.at }
func (f *found) Err() error                        { return nil }
func (f *found) Warnings() annotations.Annotations { return nil }

// rules reads the alert rules, and fails where Prometheus would refuse them.
func rules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(folder+"alerts.yml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	all := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r
		}
	}
	return all
}

// firing returns the alerts that would be sent, each with its channel: their
// expression has held for their time, with the same labels at each minute of it.
func (h *history) firing(t *testing.T) []string {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute})
	firing := map[string]bool{}
	for name, r := range rules(t) {
		held := map[string]string{} // channel by all labels
		if h.now.Add(-time.Duration(r.For)).Before(h.begun) {
			continue // it cannot have been pending for so long
		}
		for ago := time.Duration(0); ago <= time.Duration(r.For); ago += time.Minute {
			vector := h.evaluate(t, engine, name, r.Expr, ago)
			if ago == 0 {
				held = vector
			}
			maps.DeleteFunc(held, func(l, _ string) bool { return vector[l] != held[l] || vector[l] == "" })
		}
		for _, channel := range held {
			firing[name+" "+channel] = true
		}
	}
	return slices.Sorted(maps.Keys(firing))
}

// evaluate returns the channels of what an expression yielded that long ago,
// by all labels; "-" is none.
func (h *history) evaluate(t *testing.T, engine *promql.Engine, name, expr string, ago time.Duration) map[string]string {
	t.Helper()
	q, err := engine.NewInstantQuery(t.Context(), h, nil, expr, h.now.Add(-ago))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer q.Close()
	result := q.Exec(t.Context())
	if result.Err != nil {
		t.Fatalf("%s: %v", name, result.Err)
	}
	vector, err := result.Vector()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	found := map[string]string{}
	for _, s := range vector {
		found[s.Metric.String()] = cmp.Or(s.Metric.Get("channel"), "-")
	}
	return found
}

// waitLag waits until a worker exports a lag of one request.
func waitLag(t *testing.T, w *stage.Worker) {
	t.Helper()
	stage.Eventually(t, func() string {
		if _, body := w.Get("/metrics"); !regexp.MustCompile(`messaging_consumer_lag\{.*\} 1\n`).MatchString(body) {
			return "no lag is exported"
		}
		return ""
	})
}

// Each alert fires when its condition is caused, and no other does; none
// fires while all is well.
func TestAlerts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		alert string // "" for none; all play on SMS
		play  func(t *testing.T, h *history)
	}{
		{"", func(t *testing.T, h *history) {
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
			w := s.Work(map[string]string{"COMMIT_INTERVAL_SECONDS": "0.1"})
			w.WaitReady(http.StatusOK)
			for round := 1; round <= 16; round++ {
				s.PutMany(5)
				s.Events(5 * round)
				s.Committed()
				h.scrape(t, w)
			}
		}},
		{"MessagingProviderPaused", func(t *testing.T, h *history) {
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
			w := s.Work(map[string]string{
				"SMS_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000001", "TWILIO_AUTH_TOKEN": "t",
				"TWILIO_BASE_URL": "http://127.0.0.1:9", "MAX_ATTEMPTS": "3",
			})
			w.WaitReady(http.StatusOK)
			s.PutMany(5)
			w.WaitReady(http.StatusServiceUnavailable)
			for range 3 {
				h.scrape(t, w)
			}
		}},
		{"MessagingFailuresHigh", func(t *testing.T, h *history) {
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
			w := s.Work(nil)
			w.WaitReady(http.StatusOK)
			for round := 1; round <= 12; round++ {
				h.scrape(t, w)
				for range 2 {
					s.PutOne(stage.Hints("scenario", "permanent"))
				}
				s.PutMany(5)
				s.Events(7 * round)
			}
		}},
		{"MessagingInvalidRequests", func(t *testing.T, h *history) {
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
			w := s.Work(nil)
			w.WaitReady(http.StatusOK)
			h.scrape(t, w)
			s.Put("", []byte("{}"))
			s.Events(1)
			h.scrape(t, w)
		}},
		{"MessagingStandsStill", func(t *testing.T, h *history) {
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
			s.PutOne(stage.Hints("scenario_latency_ms", "100000"))
			w := s.Work(map[string]string{"PROVIDER_TIMEOUT_SECONDS": "120"})
			waitLag(t, w)
			for range 20 {
				h.scrape(t, w)
			}
		}},
		{"MessagingOldestUnfinished", func(t *testing.T, h *history) {
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
			w := s.Work(nil)
			w.WaitReady(http.StatusOK)
			id := stage.NewID()
			s.Produce(&kgo.Record{
				Topic: s.Topic("request"), Key: []byte(id), Timestamp: time.Now().Add(-time.Hour),
				Value: stage.Request(s.Channel, id, stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "300000")),
			})
			stage.Eventually(t, func() string {
				if _, body := w.Get("/metrics"); !regexp.MustCompile(`messaging_oldest_unfinished_seconds\{.*\} 36\d\d`).MatchString(body) {
					return "the age of the old request is not exported"
				}
				return ""
			})
			for round := 1; round <= 8; round++ {
				s.PutMany(1) // others go on
				s.Events(round)
				h.scrape(t, w)
			}
		}},
		{"MessagingCommitsFail", func(t *testing.T, h *history) {
			broker := kafka.Embedded(t)
			broker.ControlKey(kmsg.OffsetCommit.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
				broker.KeepControl()
				r := req.(*kmsg.OffsetCommitRequest)
				resp := r.ResponseKind().(*kmsg.OffsetCommitResponse)
				for _, topic := range r.Topics {
					rt := kmsg.NewOffsetCommitResponseTopic()
					rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
					for _, p := range topic.Partitions {
						rp := kmsg.NewOffsetCommitResponseTopicPartition()
						rp.Partition, rp.ErrorCode = p.Partition, kerr.OffsetMetadataTooLarge.Code
						rt.Partitions = append(rt.Partitions, rp)
					}
					resp.Topics = append(resp.Topics, rt)
				}
				return resp, nil, true
			})
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2, Brokers: broker.ListenAddrs()})
			w := s.Work(map[string]string{"COMMIT_INTERVAL_SECONDS": "0.05"})
			w.WaitReady(http.StatusOK)
			for round := 1; round <= 16; round++ {
				s.PutMany(1)
				s.Events(round)
				time.Sleep(200 * time.Millisecond) // commits come on an interval
				h.scrape(t, w)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.alert, func(t *testing.T) {
			t.Parallel()
			h := newHistory()
			tt.play(t, h)
			var want []string
			if tt.alert != "" {
				want = []string{tt.alert + " sms"}
			}
			if got := h.firing(t); !slices.Equal(got, want) {
				t.Errorf("firing is %q, want %q", got, want)
			}
		})
	}
}

// Each alert is made to fire here, and the documents say what to do.
func TestEachAlertIsTestedAndExplained(t *testing.T) {
	t.Parallel()
	var tests strings.Builder
	for _, file := range []string{"alerts_test.go", "missing_test.go", "lanes_test.go", "orders_test.go"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(data)
	}
	pages := documents(t)
	for name := range rules(t) {
		if !strings.Contains(tests.String(), `"`+name+`"`) && !strings.Contains(tests.String(), `"`+name+" ") {
			t.Errorf("no test causes %s", name)
		}
		if !strings.Contains(pages, "`"+name+"`") {
			t.Errorf("no document says what to do about %s", name)
		}
	}
}

// documents returns the text of all pages for operators.
func documents(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("documents %v: %v", files, err)
	}
	var all strings.Builder
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(page)
	}
	return all.String()
}

// Every query of the dashboard and the alerts names metrics that a worker
// exports, and the engine can read it. Every metric of ours is documented.
func TestQueriesNameWhatIsExported(t *testing.T) {
	t.Parallel()
	o := newOrdered(t, true)
	s, w := o.Stage, o.w
	s.PutMany(5)
	s.Events(5)
	s.Committed()
	stage.Eventually(t, func() string {
		if _, body := w.Get("/metrics"); !strings.Contains(body, "messaging_consumer_lag") {
			return "no lag is exported yet"
		}
		return ""
	})
	h := newHistory()
	h.scrape(t, w)
	// What only a worker with SMTP exports. It has nothing to send.
	h.scrape(t, stage.New(t, models.Email, stage.Options{Partitions: 2}).Work(map[string]string{
		"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_AUTH": "none", "SMTP_TLS": "none",
	}))
	exported := map[string]map[string]bool{} // labels by metric
	for _, s := range h.series {
		name := s.labels.Get(labels.MetricName)
		if exported[name] == nil {
			exported[name] = map[string]bool{labels.MetricName: true, "job": true}
		}
		s.labels.Range(func(l labels.Label) { exported[name][l.Name] = true })
	}
	checkDocumented(t, slices.Sorted(maps.Keys(exported)))
	for _, name := range []string{groupLag, groupMembers} { // kafka_exporter's
		exported[name] = map[string]bool{labels.MetricName: true, "consumergroup": true}
	}
	queries := map[string]string{}
	for name, r := range rules(t) {
		queries[name] = r.Expr
	}
	data, err := os.ReadFile(folder + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			queries[p.Title+": "+target.Expr] = strings.NewReplacer("$__rate_interval", "1m", "$channel", ".*", "$lane", ".*").Replace(target.Expr)
		}
	}
	if len(queries) < 20 {
		t.Errorf("only %d queries", len(queries))
	}
	for where, query := range queries {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		for _, fault := range unexported(expr, exported) {
			t.Errorf("%s: no worker exports %s", where, fault)
		}
	}
}

// checkDocumented wants each metric of ours in a document, and each one that a
// document names exported. Those of the Kafka client are documented as one.
func checkDocumented(t *testing.T, exported []string) {
	t.Helper()
	ours := regexp.MustCompile(`messaging_[a-z_]*[a-z]`)
	kafka := func(name string) bool { return strings.HasPrefix(name, "messaging_kafka") }
	documented := slices.DeleteFunc(ours.FindAllString(documents(t), -1), kafka)
	for _, name := range documented {
		if !slices.ContainsFunc(exported, func(metric string) bool { return family(metric) == family(name) }) {
			t.Errorf("the documents name %s, which no worker exports", name)
		}
	}
	n := 0
	for _, name := range exported {
		if !ours.MatchString(name) || kafka(name) {
			continue
		}
		if n++; !slices.Contains(documented, family(name)) {
			t.Errorf("no document names %s", family(name))
		}
	}
	if n == 0 {
		t.Error("nothing of ours is exported")
	}
}

// family returns the name of a histogram of which metric is a part.
func family(metric string) string {
	for _, part := range []string{"_count", "_sum", "_bucket"} {
		metric = strings.TrimSuffix(metric, part)
	}
	return metric
}

// unexported returns the metrics of a query that are not exported, and the
// labels that it matches or groups by and that none of its metrics has.
func unexported(expr parser.Expr, exported map[string]map[string]bool) []string {
	var faults []string
	has := map[string]bool{}
	for _, selector := range parser.ExtractSelectors(expr) {
		var name string
		for _, m := range selector {
			if m.Name == labels.MetricName {
				name = m.Value
			}
		}
		if exported[name] == nil {
			faults = append(faults, name)
		}
		for _, m := range selector {
			if !exported[name][m.Name] {
				faults = append(faults, name+" with "+m.Name)
			}
		}
		maps.Copy(has, exported[name])
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if a, ok := node.(*parser.AggregateExpr); ok {
			for _, label := range a.Grouping {
				if !has[label] {
					faults = append(faults, "a label "+label)
				}
			}
		}
		return nil
	})
	return faults
}

func newSample(t int64, v float64) chunks.Sample { return sample{t, v} }

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
