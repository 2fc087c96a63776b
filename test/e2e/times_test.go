package e2e_test

import (
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// Whatever timestamps requests have: they are worked off, once, also after the
// offsets were reset to the earliest, and no duration is of decades.
func TestRequestsOfAnyTime(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 8, AnyTime: true})
	times := []int64{-1, 0, 599_999, time.Now().Unix(), time.Now().Add(48 * time.Hour).UnixMilli(), 253402300799000, math.MaxInt64 / 2}
	ledger := filepath.Join(t.TempDir(), "ledger")
	ids := map[string]bool{}
	put := func(partition int32, at time.Time) {
		id := stage.NewID()
		ids[id] = true
		s.Produce(&kgo.Record{Partition: partition, Timestamp: at, Value: stage.Request(s.Channel, id, nil)})
	}
	for i, ms := range times {
		for range 3 {
			put(int32(i), time.UnixMilli(ms))
		}
	}
	put(7, time.Now())
	env := map[string]string{"MOCK_LEDGER_FILE": ledger}
	w := s.Work(env)
	s.Events(len(ids))
	stage.Eventually(t, func() string { // the gauge of what is unfinished falls to nothing
		_, body := w.Get("/metrics")
		return tooLong(body)
	})
	s.Committed()
	w.Stop()

	s.Commit(make([]int64, len(times))...) // the earliest
	w = s.Work(env)
	for i := range times {
		put(int32(i), time.Now()) // behind what is finished
	}
	s.Events(len(ids))
	s.Committed()
	w.WaitReady(http.StatusOK)
	stage.DeliveredOnce(t, ledger, ids)
}

var durations = regexp.MustCompile(`(?m)^messaging_(message_duration_seconds_sum|oldest_unfinished_seconds)\S* (\S+)$`)

// tooLong names a duration among the metrics that is longer than the test.
func tooLong(metrics string) string {
	found := durations.FindAllStringSubmatch(metrics, -1)
	if len(found) < 2 {
		return "there are no durations"
	}
	for _, m := range found {
		if seconds, err := strconv.ParseFloat(m[2], 64); err != nil || seconds > 3600 {
			return fmt.Sprintf("%s is %s", strings.TrimSpace(m[1]), m[2])
		}
	}
	return ""
}
