package kafka_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
)

func TestTold(t *testing.T) {
	t.Parallel()
	var told kafka.Told
	for i, tt := range []struct {
		matter, err string
		want        bool
	}{
		{"a", "", false},
		{"a", "dial tcp 127.0.0.1:9092: connection refused", true},
		{"a", "dial tcp 127.0.0.1:9092: connection refused", false},
		{"a", "dial tcp kafka-2.example.com:9093: connection refused", false},
		{"b", "dial tcp 127.0.0.1:9092: connection refused", true},
		{"a", "read tcp 127.0.0.1:51234->127.0.0.1:9092: i/o timeout", true},
		{"a", "read tcp 127.0.0.1:51235->[::1]:9092: i/o timeout", false},
		{"a", "topic a:b is gone", true},
		{"a", "topic a:c is gone", true},
		{"a", "", true},
		{"a", "", false},
		{"a", "topic a:c is gone", true},
		{"b", "dial tcp 127.0.0.1:9092: connection refused", false},
	} {
		var err error
		if tt.err != "" {
			err = errors.New(tt.err)
		}
		if got := told.News(tt.matter, err); got != tt.want {
			t.Errorf("%d: News(%s, %q) = %v, want %v", i, tt.matter, tt.err, got, tt.want)
		}
	}
}

// What the client says again and again is told once, however long it goes on,
// and again when it comes back after a while.
func TestClientRepeatsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := kafka.Logger(zerolog.New(&log).Level(zerolog.InfoLevel))
		for range 1000 {
			l.Log(kgo.LogLevelError, "group manage loop errored", "err", errors.New("topic is gone"))
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(log.String(), "group manage loop errored"); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		time.Sleep(time.Hour)
		l.Log(kgo.LogLevelError, "group manage loop errored", "err", errors.New("topic is gone"))
		if n := strings.Count(log.String(), "group manage loop errored"); n != 2 {
			t.Errorf("told %d times, want once more after an hour of silence", n)
		}
	})
}
