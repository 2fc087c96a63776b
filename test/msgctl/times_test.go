package msgctl_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// Dead letters can be replayed, listed and exported whatever timestamps their
// requests have.
func TestReplayOfRequestsOfAnyTime(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{AnyTime: true})
	w := s.Work(nil)
	times := []int64{-1, 0, 599_999, time.Now().Unix(), 253402300799000, math.MaxInt64 / 2}
	refused := stage.Hints("scenario", "permanent", "scenario_failures", "1")
	for _, ms := range times {
		id := stage.NewID()
		s.Produce(&kgo.Record{Key: []byte(id), Timestamp: time.UnixMilli(ms), Value: stage.Request(models.SMS, id, refused)})
	}
	letters := s.DeadLetters(len(times))
	w.Kill()
	for _, copies := range letters { // one more of each by somebody who writes a time that nobody can
		again := copies[0].Record
		again = &kgo.Record{Topic: again.Topic, Key: again.Key, Value: again.Value, Headers: again.Headers, Timestamp: time.UnixMilli(math.MaxInt64 / 2)}
		if err := s.Client.ProduceSync(s.Ctx, again).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"list", "list -o json", "stats", "stats -o json", "export"} {
		args := append([]string{"dlq"}, append(strings.Fields(command), "--channel", "sms")...)
		succeeds(t, msgctl(t, s, "", args...))
	}
	for _, more := range [][]string{{"--dry-run", "--since", "1969-12-31T00:00:00Z", "--group", s.Name + "dry"}, nil} {
		r := msgctl(t, s, "", append([]string{"dlq", "replay", "--channel", "sms", "-o", "json"}, more...)...)
		if r.code != 0 || !strings.Contains(r.out, `"replayed":`+strconv.Itoa(len(times))+`,`) {
			t.Fatalf("dlq replay %v exits %d: %s%s", more, r.code, r.out, r.err)
		}
	}
	if got := replayed(t, s); len(got) != len(times) {
		t.Errorf("%d requests were put back, want %d", len(got), len(times))
	}
}
