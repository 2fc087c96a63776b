package smtp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/app"
	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka/embedded"
	"messaging-worker/internal/models"
)

// mailWorker is a whole email worker on an SMTP server.
type mailWorker struct {
	*app.App

	client *kgo.Client
}

// startMailWorker starts a worker with that concurrency.
func startMailWorker(t *testing.T, port, concurrency int, edits ...string) *mailWorker {
	t.Helper()
	broker, err := embedded.Start(0, "", []string{"request", "status", "dlq"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	settings := map[string]string{
		"KAFKA_BROKERS": strings.Join(broker.ListenAddrs(), ","), "APP_HOST": "127.0.0.1", "APP_PORT": "0", "LOG_LEVEL": "error",
		"KAFKA_EMAIL_REQUEST_TOPIC": "request", "KAFKA_EMAIL_STATUS_TOPIC": "status", "KAFKA_EMAIL_DLQ_TOPIC": "dlq",
		"EMAIL_CONSUMER_GROUP": "group", "EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_AUTH": "none", "SMTP_TLS": "none",
		"SMTP_PORT": strconv.Itoa(port), "WORKER_CONCURRENCY": strconv.Itoa(concurrency),
		"HEALTH_ENABLE_PROVIDER_PROBE": "true",
	}
	for i := 0; i+1 < len(edits); i += 2 {
		settings[edits[i]] = edits[i+1]
	}
	c, err := config.Load(func(name string) (string, bool) {
		value, ok := settings[name]
		return value, ok
	}, "email")
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), c, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.InfoLevel))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.ConsumeTopics("status"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	o := &mailWorker{App: a, client: client}
	for end := time.Now().Add(patience); !a.Ready(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not ready in %v", patience)
		}
	}
	return o
}

// put writes n requests, numbered from first.
func (o *mailWorker) put(t *testing.T, first, n int) {
	t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: "request", Value: fmt.Appendf(nil, `{"message_id":"1e8f3b1b-4d0d-4bd3-9c86-%012d","channel":"email",
			"created_at":"2025-10-16T09:31:15Z","from":"noreply@example.com","to":["user@example.com"],"subject":"Hello","body":{"content":"Hello"}}`, first+i)}
	}
	if err := o.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// events reads status events until n messages have ended, and returns how many
// there are of each kind. It looks at readiness all the while.
func (o *mailWorker) events(t *testing.T, n int) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	kinds := map[string]int{}
	for kinds["sent 1"]+kinds["ended otherwise"] < n {
		o.client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			var ev models.StatusEvent
			if err := json.Unmarshal(r.Value, &ev); err != nil {
				t.Error(err)
			}
			kind := fmt.Sprintf("%s %d", ev.EventType, ev.Attempt)
			kinds[kind]++
			if kind != "sent 1" && (ev.EventType == models.EventSent || ev.EventType == models.EventFailed) {
				kinds["ended otherwise"]++
			}
		})
		if ctx.Err() != nil {
			t.Fatalf("%d messages have not ended in %v: %v", n, 3*patience, kinds)
		}
		if status, body := o.get(t, "/healthz/ready"); status != http.StatusOK {
			t.Errorf("not ready: %s", body)
		}
	}
	return kinds
}

func (o *mailWorker) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + o.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// With a concurrency of 50 and a server that grants two connections no message
// spends an attempt on that, the channel does not pause, and the metrics tell.
func TestWorkerGoesByWhatTheServerGrants(t *testing.T) {
	t.Parallel()
	const messages = 400
	d := &doorman{how: "greeting"}
	d.granted.Store(2)
	srv := serve(t, d.serve)
	o := startMailWorker(t, srv.port(), 50, "SMTP_MESSAGES_PER_CONNECTION", "10", "PROVIDER_TIMEOUT_SECONDS", "10")
	o.put(t, 0, messages)
	kinds := o.events(t, messages)
	for _, kind := range []string{"queued 0", "attempt 1", "sent 1"} {
		if kinds[kind] != messages {
			t.Errorf("events %v, want %d of %q", kinds, messages, kind)
		}
	}
	if len(kinds) != 3 {
		t.Errorf("events %v, want no others", kinds)
	}
	if n := d.messages.Load(); n != messages {
		t.Errorf("%d mails, want %d", n, messages)
	}
	if total, _ := srv.count(); int64(total)-d.turned.Load() < messages/10 {
		t.Errorf("%d connections, %d of them turned away, want one for each 10 messages", total, d.turned.Load())
	}
	_, metrics := o.get(t, "/metrics")
	for _, want := range []string{`messaging_attempts_total{channel="email",result="ok"} 400`, `messaging_attempts_total{channel="email",result="transient"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	limit := ""
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, `messaging_smtp_connections_limit{channel="email"} `); ok {
			limit = strings.TrimSpace(value)
		}
	}
	if n, err := strconv.Atoi(limit); err != nil || n < 1 || n > 3 {
		t.Errorf("messaging_smtp_connections_limit %q, want about 2", limit)
	}
}
