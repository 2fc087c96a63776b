package msgctl_test

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// loadReport is what load prints as JSON.
type loadReport struct {
	Messages int `json:"messages"`
	Latency  struct {
		P50, P95, P99, Max float64
	} `json:"produce_latency_ms"`
	PerSecond float64 `json:"messages_per_second"`
	Outcome   struct {
		Sent, Failed, Lost, Doubled int
		LostIDs                     []string `json:"lost_ids"`
		Latency                     struct {
			P50, P95, P99, Max float64
		} `json:"end_to_end_latency_ms"`
	}
}

func readLoad(t *testing.T, r result) loadReport {
	t.Helper()
	var report loadReport
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("load exits %d: %v\n%s%s", r.code, err, r.out, r.err)
	}
	return report
}

// figures replaces what is measured.
func figures(text string) string {
	text = regexp.MustCompile(`\d+\.\d`).ReplaceAllString(text, "N.N")
	text = regexp.MustCompile(`: \d+ a second`).ReplaceAllString(text, ": N a second")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

func TestLoadAwaitsEveryMessage(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	s.Work(map[string]string{"WORKER_CONCURRENCY": "100"})
	r := msgctl(t, s, "", "load", "--channel", "sms", "--messages", "70000", "--await", "--output", "json")
	if got := readLoad(t, r); r.code != 0 || got.Messages != 70000 || got.Outcome.Sent != 70000 || got.Outcome.Lost+got.Outcome.Doubled != 0 ||
		got.Latency.Max < got.Latency.P50 || got.Latency.P50 <= 0 || got.Outcome.Latency.P50 <= 0 {
		t.Errorf("load exits %d and reports %s", r.code, r.out)
	}
	r = succeeds(t, msgctl(t, s, "", "load", "--channel", "sms", "--messages", "50", "--scenario", "permanent", "--size", "3000", "--rate", "1000", "--await"))
	golden(t, s, "load", figures(r.out))
}

func TestLoadFindsWhatIsLost(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{})
	r := msgctl(t, s, "", "load", "--messages", "12", "--await", "--timeout", "1s", "--output", "json")
	got := readLoad(t, r)
	if r.code != 1 || got.Outcome.Lost != 12 || len(got.Outcome.LostIDs) != 10 {
		t.Errorf("load exits %d, want 1, and reports %s", r.code, r.out)
	}
	ids := map[string]bool{}
	for _, rec := range requested(s, 12) {
		ids[string(rec.Key)] = true
	}
	for _, id := range got.Outcome.LostIDs {
		if !ids[id] {
			t.Errorf("%s is no message of this load", id)
		}
	}
}

// One final event too many, whatever it says, and one for no message of ours.
func TestLoadFindsWhatIsDoubled(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.WhatsApp, stage.Options{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n := 0
		s.Follow(s.Topic("request"), func(r *kgo.Record) bool {
			finish(s, r, "queued", "attempt", "sent")
			if n++; n == 7 {
				finish(s, r, "failed")
				finish(s, &kgo.Record{Key: []byte(stage.NewID()), Topic: r.Topic}, "sent", "sent")
			}
			return n == 20
		})
	}()
	r := msgctl(t, s, "", "load", "--channel", "whatsapp", "--messages", "20", "--await", "--output", "json")
	<-ended
	if got := readLoad(t, r); r.code != 1 || got.Outcome.Doubled != 1 || got.Outcome.Sent != 20 || got.Outcome.Lost != 0 {
		t.Errorf("load exits %d, want 1, and reports %s", r.code, r.out)
	}
}

// finish writes events of a request as a worker does.
func finish(s *stage.Stage, r *kgo.Record, events ...models.EventType) {
	for _, event := range events {
		ev := models.StatusEvent{MessageID: string(r.Key), Channel: s.Channel, EventType: event, Timestamp: r.Timestamp.UTC()}
		value, _ := ev.Encode()
		s.Client.ProduceSync(s.Ctx, &kgo.Record{Topic: s.Topic("status"), Key: r.Key, Value: value, Headers: []kgo.RecordHeader{
			{Key: models.HeaderSourceTimestamp, Value: []byte(strconv.FormatInt(r.Timestamp.UnixMilli(), 10))},
		}})
	}
}

func TestLoadAsAsked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		flags []string
		keys  bool
		size  int
	}{
		{"as it is", nil, true, 300},
		{"no keys, leader's acknowledgement", []string{"--keys", "none", "--acks", "1", "--batch-bytes", "16384", "--linger", "0"}, false, 300},
		{"no acknowledgement, compressed", []string{"--acks", "0", "--compression", "zstd", "--size", "20000"}, true, 20000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, models.Email, stage.Options{})
			// Without acknowledgements a new topic would lose some, unseen.
			succeeds(t, msgctl(t, s, "", "load", "--messages", "200", "--size", "1000"))
			r := msgctl(t, s, "", append([]string{"load", "--messages", "500", "-o", "json"}, tt.flags...)...)
			if got := readLoad(t, r); r.code != 0 || got.Messages != 500 || got.PerSecond <= 0 {
				t.Fatalf("load exits %d and reports %s%s", r.code, r.out, r.err)
			}
			var all strings.Builder
			for _, rec := range requested(s, 700) {
				if len(rec.Value) != 1000 && ((rec.Key != nil) != tt.keys || len(rec.Value) != tt.size) {
					t.Fatalf("a request of %d bytes under the key %q", len(rec.Value), rec.Key)
				}
				all.Write(append(rec.Value, '\n'))
			}
			if r := msgctl(t, s, all.String(), "validate", "email", "-"); r.code != 0 || r.out != "700 requests, all valid\n" {
				t.Errorf("the workers would not take them: %.500s", r.out)
			}
		})
	}
}

func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	cmd := command(s.Ctx, s, "load", "--channel", "sms", "--duration", "1h", "--rate", "100", "--await")
	r := interruptAt(t, cmd, nil, func() { requested(s, 20) })
	if r.code != 130 || !strings.Contains(r.out, "interrupted: ") || !strings.Contains(r.out, "without an outcome yet") || strings.Contains(r.out, "lost") {
		t.Errorf("after Ctrl-C load exits %d, want 130, and prints %s%s", r.code, r.out, r.err)
	}
	var n int64
	if _, err := parse(r.out, &n); err != nil || n != count(t, s) {
		t.Errorf("load counts %d requests, Kafka %d: %v", n, count(t, s), err)
	}
}

// parse reads the number that a text begins with.
func parse(text string, n *int64) (string, error) {
	word, rest, _ := strings.Cut(text, " ")
	var err error
	*n, err = strconv.ParseInt(word, 10, 64)
	return rest, err
}

func TestLoadRefused(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{})
	small := "1000"
	if _, err := s.Admin.CreateTopic(s.Ctx, 1, 1, map[string]*string{"max.message.bytes": &small}, s.Name+".small"); err != nil {
		t.Fatal(err)
	}
	r := msgctl(t, s, "", "load", "--messages", "100", "--size", "5000", "--topic", s.Name+".small")
	if r.code != 1 || !strings.Contains(r.err, "not acknowledged by "+s.Name+".small: MESSAGE_TOO_LARGE") {
		t.Errorf("load exits %d, want 1, and says %s", r.code, r.err)
	}
}
