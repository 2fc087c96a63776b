package e2e_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/twmb/franz-go/pkg/kgo"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	v1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

// receiver is an OTLP/HTTP collector that keeps the spans. It takes them at
// one path.
type receiver struct {
	URL string // without the path

	mu      sync.Mutex
	spans   []*v1.Span
	schemas map[string]int  // of resources and scopes
	text    strings.Builder // everything, as JSON
}

func startReceiver(t *testing.T, path string) *receiver {
	t.Helper()
	r := &receiver{schemas: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil || req.URL.Path != path {
			t.Errorf("%s to the collector: %v", req.URL.Path, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.text.WriteString(protojson.Format(&export))
		for _, resource := range export.GetResourceSpans() {
			r.schemas["resource "+resource.GetSchemaUrl()]++
			for _, scope := range resource.GetScopeSpans() {
				r.schemas["scope "+scope.GetSchemaUrl()]++
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// standardPath is where a collector takes spans that is named without a path.
const standardPath = "/v1/traces"

// kept returns how many spans came.
func (r *receiver) kept() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.spans)
}

// of returns the spans of a trace by name, and the number of each.
func (r *receiver) of(trace string) map[string][]*v1.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string][]*v1.Span{}
	for _, s := range r.spans {
		if hex.EncodeToString(s.GetTraceId()) == trace {
			found[s.GetName()] = append(found[s.GetName()], s)
		}
	}
	return found
}

// attributes returns those of a span that are texts or whole numbers.
func attributes(s *v1.Span) map[string]string {
	found := map[string]string{}
	for _, a := range s.GetAttributes() {
		if found[a.GetKey()] = a.GetValue().GetStringValue(); found[a.GetKey()] == "" {
			found[a.GetKey()] = strconv.FormatInt(a.GetValue().GetIntValue(), 10)
		}
	}
	return found
}

// A message's span continues its request's trace, is linked to the span that
// sent the request, and is the parent of one for each provider call and each
// record written, which carry it on.
func TestTraces(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, standardPath)
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	good, bad, lone := stage.NewID(), stage.NewID(), stage.NewID()
	with := func(id string, edits map[string]any) *kgo.Record {
		return &kgo.Record{
			Topic: s.Topic("request"), Key: []byte(id), Value: stage.Request(s.Channel, id, edits),
			Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-" + trace + "-" + parent + "-01")}},
		}
	}
	s.Produce(with(good, stage.Hints("scenario", "transient", "scenario_failures", "1")), with(bad, map[string]any{"to": nil}))
	s.Put(lone, stage.Request(s.Channel, lone, nil))
	w := s.Work(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_SERVICE_NAME": "codes", "OTEL_RESOURCE_ATTRIBUTES": "team=auth"})
	events, letters := s.Events(3), s.DeadLetters(1)
	s.Committed()
	w.Stop()

	spans := r.of(trace)
	send, letter := "send "+s.Topic("status"), "send "+s.Topic("dlq")
	want := map[string]int{"process " + s.Topic("request"): 2, "deliver sms": 2, send: 6, letter: 1}
	for name, n := range want {
		if len(spans[name]) != n {
			t.Errorf("%d spans %q, want %d", len(spans[name]), name, n)
		}
	}
	messages := map[string]bool{}
	for _, m := range spans["process "+s.Topic("request")] {
		messages[string(m.GetSpanId())] = true
		if hex.EncodeToString(m.GetParentSpanId()) != parent || m.GetKind() != v1.Span_SPAN_KIND_CONSUMER {
			t.Errorf("the message's span is %v below %x", m.GetKind(), m.GetParentSpanId())
		}
		if l := m.GetLinks(); len(l) != 1 || hex.EncodeToString(l[0].GetSpanId()) != parent || hex.EncodeToString(l[0].GetTraceId()) != trace {
			t.Errorf("the message's span is linked to %v, want the span that sent the request", l)
		}
		of := attributes(m)
		for name, value := range map[string]string{
			"messaging.system": "kafka", "messaging.operation.type": "process", "messaging.operation.name": "process",
			"messaging.destination.name": s.Topic("request"), "messaging.destination.partition.id": "0",
			"messaging.consumer.group.name": s.Group(),
		} {
			if of[name] != value {
				t.Errorf("%s of the message's span is %q, want %q", name, of[name], value)
			}
		}
		if offset, there := of["messaging.kafka.offset"]; !there || offset != "0" && offset != "1" {
			t.Errorf("messaging.kafka.offset of the message's span is %q", offset)
		}
	}
	kinds := map[string]v1.Span_SpanKind{"deliver sms": v1.Span_SPAN_KIND_CLIENT, send: v1.Span_SPAN_KIND_PRODUCER, letter: v1.Span_SPAN_KIND_PRODUCER}
	written := map[string]bool{}
	for name, kind := range kinds {
		for _, span := range spans[name] {
			if !messages[string(span.GetParentSpanId())] || span.GetKind() != kind {
				t.Errorf("%s is %v below %x", name, span.GetKind(), span.GetParentSpanId())
			}
			written["00-"+trace+"-"+hex.EncodeToString(span.GetSpanId())+"-01"] = true
		}
	}
	if failed := spans["deliver sms"]; len(failed) == 2 && failed[0].GetStatus().GetCode() == failed[1].GetStatus().GetCode() {
		t.Errorf("both calls are %v, one of them failed", failed[0].GetStatus())
	}
	for id, records := range map[string][]stage.Event{good: events[good], bad: events[bad]} {
		for _, e := range records {
			if tp := stage.Header(e.Record, "traceparent"); !written[tp] || e.TraceID != trace {
				t.Errorf("%s %s: traceparent %q, trace id %q", id, e.EventType, tp, e.TraceID)
			}
		}
	}
	if tp := stage.Header(letters[bad][0].Record, "traceparent"); !written[tp] {
		t.Errorf("the dead letter's traceparent is %q", tp)
	}
	// A request without a trace begins one.
	own := events[lone][0].TraceID
	alone := r.of(own)["process "+s.Topic("request")]
	if spans := r.of(own); len(alone) != 1 || len(spans[send]) != 3 {
		t.Errorf("the trace %q of a request without one has %d spans", own, len(spans))
	}
	if len(alone) == 1 && len(alone[0].GetLinks()) != 0 {
		t.Errorf("the span of a request without a trace is linked to %v", alone[0].GetLinks())
	}
	// Whoever reads the spans must know whose names the attributes have.
	if len(r.schemas) != 2 || r.schemas["resource "+semconv.SchemaURL] == 0 || r.schemas["scope "+semconv.SchemaURL] == 0 {
		t.Errorf("schema URLs are %v, want %s for all", r.schemas, semconv.SchemaURL)
	}
	if !strings.Contains(r.text.String(), `"codes"`) || !strings.Contains(r.text.String(), `"auth"`) {
		t.Error("the standard variables for service and resource are not heeded")
	}
	if !strings.Contains(w.Logs(), trace) {
		t.Errorf("no line of the log names the trace: %s", w.Logs())
	}
}

// Where spans go, and whether any do, is what the settings say. A stop exports
// what is left, so that after it there is nothing to wait for.
func TestWhereTracesGo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name             string
		settings         map[string]string // GENERAL and OWN are the receivers
		toGeneral, toOwn bool
	}{
		{"general", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "GENERAL"}, true, false},
		{"own path", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "OWN/spans/here"}, false, true},
		{"own path wins", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "GENERAL", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "OWN/spans/here"}, false, true},
		{"disabled", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "GENERAL", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "OWN/spans/here", "OTEL_SDK_DISABLED": "true",
		}, false, false},
		{"no exporter", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "GENERAL", "OTEL_TRACES_EXPORTER": "none"}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			general, own := startReceiver(t, standardPath), startReceiver(t, "/spans/here")
			settings := map[string]string{}
			for name, value := range tt.settings {
				settings[name] = strings.NewReplacer("GENERAL", general.URL, "OWN", own.URL).Replace(value)
			}
			s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
			w := s.Work(settings)
			id := s.PutOne(nil)
			stage.CheckSequence(t, "the message", s.Events(1)[id], "queued 0, attempt 1, sent 1")
			s.Committed()
			w.Stop()
			if n := general.kept(); n > 0 != tt.toGeneral {
				t.Errorf("%d spans at OTEL_EXPORTER_OTLP_ENDPOINT, want some: %t", n, tt.toGeneral)
			}
			if n := own.kept(); n > 0 != tt.toOwn {
				t.Errorf("%d spans at OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, want some: %t", n, tt.toOwn)
			}
		})
	}
}

// A collector that is away costs spans and nothing else.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
	w := s.Work(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + freeAddress(t), "OTEL_EXPORTER_OTLP_TIMEOUT": "500"})
	ids := s.PutMany(200)
	for id, events := range s.Events(len(ids)) {
		stage.CheckSequence(t, id, events, "queued 0, attempt 1, sent 1")
	}
	w.Stop()
}

// freeAddress returns a loopback address for who listens later, or never.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := kafka.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", port)
}

// metrics reads /metrics: values by name and labels.
func metrics(t *testing.T, w *stage.Worker) map[string]float64 {
	t.Helper()
	code, body := w.Get("/metrics")
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", code, body)
	}
	values := map[string]float64{}
	for line := range strings.Lines(body) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if strings.HasPrefix(line, "#") || !ok {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		values[name+"}"] = v
	}
	return values
}

// What the metrics say is what lies in the topics.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
	scenarios := map[string]int{"success": 40, "transient": 3, "permanent": 5, "unknown": 2, "rate_limited": 1}
	sum := 0
	for scenario, n := range scenarios {
		for range n {
			s.PutOne(stage.Hints("scenario", scenario))
			sum++
		}
	}
	for range 4 {
		s.PutOne(map[string]any{"to": "nobody"})
		sum++
	}
	w := s.Work(map[string]string{"MAX_ATTEMPTS": "2", "COMMIT_INTERVAL_SECONDS": "3600"})
	s.Events(sum)
	count := map[string]int{}
	for _, events := range s.SoFar() {
		for _, e := range events {
			count[string(e.EventType)]++
		}
	}
	want := map[string]float64{
		`messaging_messages_total{channel="sms",failure_type="",lane="normal",outcome="sent"}`:             40,
		`messaging_messages_total{channel="sms",failure_type="transient",lane="normal",outcome="failed"}`:  4,
		`messaging_messages_total{channel="sms",failure_type="permanent",lane="normal",outcome="failed"}`:  5,
		`messaging_messages_total{channel="sms",failure_type="unknown",lane="normal",outcome="failed"}`:    2,
		`messaging_messages_total{channel="sms",failure_type="validation",lane="normal",outcome="failed"}`: 4,
		`messaging_dlq_published_total{channel="sms",failure_type="permanent"}`:                            5,
		`messaging_dlq_published_total{channel="sms",failure_type="validation"}`:                           4,
		`messaging_attempts_total{channel="sms",result="ok"}`:                                              40,
		`messaging_attempts_total{channel="sms",result="transient"}`:                                       8,
		`messaging_attempts_total{channel="sms",result="permanent"}`:                                       5,
		`messaging_provider_call_duration_seconds_count{channel="sms"}`:                                    float64(count["attempt"]),
		`messaging_message_duration_seconds_count{channel="sms",lane="normal"}`:                            float64(sum),
		`messaging_queue_wait_seconds_count{channel="sms",lane="normal"}`:                                  float64(sum - 4),
		`messaging_events_published_total{channel="sms",event_type="queued"}`:                              float64(count["queued"]),
		`messaging_events_published_total{channel="sms",event_type="attempt"}`:                             float64(count["attempt"]),
		`messaging_events_published_total{channel="sms",event_type="retry"}`:                               float64(count["retry"]),
		`messaging_events_published_total{channel="sms",event_type="failed"}`:                              15,
		`messaging_provider_calls_in_flight{channel="sms"}`:                                                0,
		`messaging_messages_backing_off{channel="sms",lane="normal"}`:                                      0,
		`messaging_pending_messages{channel="sms",lane="normal"}`:                                          0,
		`messaging_pending_bytes{channel="sms",lane="normal"}`:                                             0,
		`messaging_breaker_state{channel="sms"}`:                                                           0,
		`messaging_commits_total{channel="sms",result="error"}`:                                            0,
		`messaging_journal_records_read_total{channel="sms"}`:                                              0,
		`messaging_recovered_messages_total{channel="sms",state="finished"}`:                               0,
		`messaging_oldest_unfinished_seconds{channel="sms",lane="normal",partition="0"}`:                   0,
	}
	stage.Eventually(t, func() string {
		got, wrong := metrics(t, w), strings.Builder{}
		for name, v := range want {
			if at, there := got[name]; !there || at != v {
				fmt.Fprintf(&wrong, "%s is %v (%v), want %v\n", name, at, there, v)
			}
		}
		return wrong.String()
	})
	if _, body := w.Get("/metrics"); !strings.Contains(body, "messaging_build_info{") || !strings.Contains(body, "messaging_kafka_") {
		t.Error("no build info, or nothing of the Kafka client")
	}

	// A worker that takes over exports what it read back, and how far behind it
	// is, which is asked for every few seconds.
	w.Kill()
	w = s.Work(nil)
	written := 0.0
	for _, n := range count {
		written += float64(n)
	}
	stage.Eventually(t, func() string {
		got, wrong := metrics(t, w), strings.Builder{}
		for name, v := range map[string]float64{
			`messaging_journal_records_read_total{channel="sms"}`:                                           written,
			`messaging_recovered_messages_total{channel="sms",state="finished"}`:                            float64(sum),
			`messaging_recovered_messages_total{channel="sms",state="new"}`:                                 0,
			`messaging_messages_total{channel="sms",failure_type="",lane="normal",outcome="sent"}`:          0,
			fmt.Sprintf(`messaging_consumer_lag{channel="sms",partition="1",topic=%q}`, s.Topic("request")): 0,
		} {
			if at, there := got[name]; !there || at != v {
				fmt.Fprintf(&wrong, "%s is %v (%v), want %v\n", name, at, there, v)
			}
		}
		return wrong.String()
	})
}

// The names of all that is exported follow Prometheus's rules: no gauge ends
// in _total, units are base units, everything has a help text.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
	w := s.Work(nil)
	s.Events(len(s.PutMany(5)))
	s.Committed()
	var body string
	stage.Eventually(t, func() string {
		if _, body = w.Get("/metrics"); !strings.Contains(body, "messaging_consumer_lag") {
			return "no lag is exported yet"
		}
		return ""
	})
	for _, name := range []string{"buffered_produce_records", "buffered_produce_bytes", "buffered_fetch_records", "buffered_fetch_bytes"} {
		for _, client := range []string{"producer", "consumer"} {
			if !strings.Contains(body, "\nmessaging_kafka_"+name+`{channel="sms",client="`+client+`"} `) {
				t.Errorf("messaging_kafka_%s of the %s is not exported", name, client)
			}
		}
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// debugAnswer is what a worker with PPROF_ENABLED answers on its port for that.
func debugAnswer(t *testing.T, w *stage.Worker, path string) string {
	t.Helper()
	var address string
	stage.Eventually(t, func() string {
		for line := range strings.Lines(w.Logs()) {
			var l struct{ Debug string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Debug != "" {
				address = l.Debug
			}
		}
		if address == "" {
			return "the worker does not say where"
		}
		return ""
	})
	if !strings.HasPrefix(address, "127.0.0.1:") {
		t.Errorf("profiles at %s", address)
	}
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// An operator sees what is unfinished, and why an offset does not go on.
func TestDebugPending(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	waits := s.PutOne(stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "60000"))
	s.PutMany(10)
	w := s.Work(map[string]string{"PPROF_ENABLED": "true"})
	s.Events(10)
	stage.Eventually(t, func() string {
		body := debugAnswer(t, w, "/debug/pending")
		var report struct {
			Partitions []struct {
				Unfinished int
				Pin        *int64 `json:"pinned_at_offset"`
				By         *struct {
					MessageID string `json:"message_id"`
					Attempt   int
					LastError string `json:"last_error"`
					Next      string `json:"next_attempt_at"`
					Stage     string
				} `json:"pinned_by"`
			}
		}
		if err := json.Unmarshal([]byte(body), &report); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if strings.Contains(body, "+1555") {
			t.Fatalf("a number is shown: %s", body)
		}
		if len(report.Partitions) != 1 || report.Partitions[0].By == nil || report.Partitions[0].Unfinished != 1 {
			return body
		}
		by := report.Partitions[0].By
		if *report.Partitions[0].Pin != 0 || by.MessageID != waits || by.Attempt != 1 || by.LastError != "transient" || by.Next == "" || by.Stage != "backing off" {
			return body
		}
		return ""
	})
	if body := debugAnswer(t, w, "/debug/pprof/"); !strings.Contains(body, "goroutine") {
		t.Errorf("profiles: %s", body)
	}
	if code, _ := w.Get("/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("profiles on the health checks' port: %d", code)
	}
}

// Whatever fails, no address, number, subject, body or secret gets into log,
// metrics or spans.
func TestPrivacy(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	tests := []struct {
		name     string
		channel  models.Channel
		args     []string // of a fake provider; nil means the mock
		secrets  []string
		requests []map[string]any
		extra    map[string]string
	}{
		{
			"email", models.Email, nil,
			[]string{"jane.roe", "john.doe", "hidden.person", "Payslip", "salary is", "noreply@corp"},
			[]map[string]any{
				{"scenario": "success"},
				{"scenario": "permanent"},
				{"scenario": "transient"},
				{"scenario": "unknown"},
				{"scenario": "partial"},
				{"scenario": "timeout"},
				{"scenario": "panic"},
				{"to": []string{"jane.roe@@example.com"}},
				{"cc": "jane.roe@example.com"},
				{"from": "Jane <jane.roe@example.com>"},
				{"subject": "Payslip\n"},
				{"message_id": "jane.roe@example.com"},
				{"meta": map[string]any{"jane.roe@example.com": 5, `john.doe "x"`: nil}},
			},
			nil,
		},
		{
			"sms over twilio", models.SMS,
			[]string{"twilio", "--token", secret},
			[]string{"5005550", "5557654321", "5551234567", "Your code is", secret},
			[]map[string]any{
				{},
				{"to": []string{"+15005550001"}},
				{"to": []string{"+15005550002"}},
				{"to": []string{"+15005550009", "+15557654321"}},
				{"from": "+15005550001"},
				{"from": "+15005550007"},
				{"from": "+15005550008"},
				{"to": []string{"+1 555 7654321"}},
				{"to": []string{"+15557654321", "15557654321"}},
			},
			nil,
		},
		{
			"refused credentials", models.SMS,
			[]string{"twilio", "--token", "another"},
			[]string{"5557654321", "5551234567", "Your code is", secret},
			[]map[string]any{{}, {}},
			map[string]string{"TWILIO_AUTH_TOKEN": secret, "BREAKER_FAILURES": "0"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, standardPath)
			s := stage.New(t, tt.channel, stage.Options{Partitions: 2})
			settings := map[string]string{}
			if tt.args != nil {
				settings, _ = fakeProvider(t, tt.args...)
			}
			maps.Copy(settings, tt.extra)
			settings["LOG_LEVEL"], settings["MAX_ATTEMPTS"], settings["PPROF_ENABLED"] = "info", "2", "true"
			settings["PROVIDER_TIMEOUT_SECONDS"] = "2" // one of them takes it, twice
			settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = r.URL
			for _, edits := range tt.requests {
				id := stage.NewID()
				all := map[string]any{"body": map[string]string{"content": "Your code is 123456"}}
				if tt.channel == models.Email {
					all["body"], all["subject"] = map[string]string{"content": "Your salary is 1"}, "Payslip"
					all["from"], all["to"] = "noreply@corp.example", []string{"jane.roe@example.com", "john.doe@example.com"}
					all["bcc"] = []string{"hidden.person@example.com"}
				}
				for name, value := range edits {
					if name == "scenario" {
						name, value = "meta", map[string]string{"scenario": value.(string)}
					}
					all[name] = value
				}
				value := stage.Request(s.Channel, id, all)
				if _, given := edits["message_id"]; given {
					id = "jane.roe@example.com" // the key too
				}
				s.Put(id, value)
			}
			// What is not even JSON has its words in no log either.
			s.Put("jane.roe@example.com", []byte(`{"to":"jane.roe@example.com +15557654321 Payslip`))
			w := s.Work(settings)
			s.Events(len(tt.requests) + 1)
			s.Committed()
			_, exported := w.Get("/metrics")
			w.Stop()
			if len(r.spans) == 0 || !strings.Contains(w.Logs(), `"failed"`) || !strings.Contains(exported, "messaging_messages_total") {
				t.Fatal("there is nothing to look at")
			}
			for where, text := range map[string]string{"log": w.Logs(), "metrics": exported, "spans": r.text.String()} {
				for _, word := range append(tt.secrets, "jane.roe") {
					if at := strings.Index(text, word); at >= 0 {
						t.Errorf("%s holds %q: …%s…", where, word, text[max(0, at-200):min(len(text), at+80)])
					}
				}
				if found := regexp.MustCompile(`[\w.]+@example\.com|\+1\d{10}`).FindString(text); found != "" {
					t.Errorf("%s holds %q", where, found)
				}
			}
		})
	}
}
