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

func TestErrorLog(t *testing.T) {
	t.Parallel()
	var log kafka.ErrorLog
	for i, tt := range []struct {
		subject, err string
		want         bool
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
		if got := log.Changed(tt.subject, err); got != tt.want {
			t.Errorf("%d: Changed(%s, %q) = %v, want %v", i, tt.subject, tt.err, got, tt.want)
		}
	}
}

// What the client logs again and again is written once, however long it goes
// on, and again when it comes back after a while.
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
			t.Errorf("logged %d times, want once", n)
		}
		time.Sleep(time.Hour)
		l.Log(kgo.LogLevelError, "group manage loop errored", "err", errors.New("topic is gone"))
		if n := strings.Count(log.String(), "group manage loop errored"); n != 2 {
			t.Errorf("logged %d times, want once more after an hour of silence", n)
		}
	})
}
