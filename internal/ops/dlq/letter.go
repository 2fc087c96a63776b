// Package dlq finds dead letters, counts them, and puts their requests back.
package dlq

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// The headers that a replayed request carries, and so does its dead letter
// where it fails again.
const (
	HeaderReplayCount = "replay-count" // how often the request was put back
	HeaderReplayBatch = "replay-batch" // the group of the replay that put it back last
)

// Position is where a record lies. The zero Position is none.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Compare orders by topic, partition, offset.
func (p Position) Compare(o Position) int {
	return cmp.Or(cmp.Compare(p.Topic, o.Topic), cmp.Compare(p.Partition, o.Partition), cmp.Compare(p.Offset, o.Offset))
}

// SamePartition tells whether both lie in one partition.
func (p Position) SamePartition(o Position) bool {
	return p.Topic == o.Topic && p.Partition == o.Partition
}

// String returns TOPIC/PARTITION/OFFSET, or "" for none.
func (p Position) String() string {
	if p.Topic == "" {
		return ""
	}
	return p.Topic + "/" + strconv.Itoa(int(p.Partition)) + "/" + strconv.FormatInt(p.Offset, 10)
}

// MarshalText returns what String does.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// View is a dead letter without its request, as it is printed.
type View struct {
	MessageID     string             `json:"message_id"`
	Channel       models.Channel     `json:"channel"`
	Record        Position           `json:"record"`          // of the letter itself
	Time          time.Time          `json:"time,omitzero"`   // the record's, UTC; zero where RFC 3339 cannot write it
	Source        Position           `json:"source,omitzero"` // of the request; none where the headers do not say
	TenantID      string             `json:"tenant_id,omitzero"`
	FailureType   models.FailureType `json:"failure_type"`
	Attempts      int                `json:"attempts"`
	LastError     string             `json:"last_error,omitzero"`
	FirstFailedAt time.Time          `json:"first_failed_at"`
	LastAttemptAt time.Time          `json:"last_attempt_at"`
	TraceID       string             `json:"trace_id,omitzero"`
	Meta          map[string]string  `json:"meta,omitzero"`
	Replays       int                `json:"replay_count,omitzero"` // how often the request had been put back
	Batch         string             `json:"replay_batch,omitzero"` // of the last time; empty for none
}

// Letter is a dead letter with all that its record says.
type Letter struct {
	View

	Timestamp time.Time          // the record's, UTC, whatever it is
	SentAt    time.Time          // the request's record timestamp; before 1970 where the headers do not say
	Headers   []kgo.RecordHeader // all of them

	request models.Original
}

// Parse reads a dead letter's record.
func Parse(rec *kgo.Record) (*Letter, error) {
	at := Position{rec.Topic, rec.Partition, rec.Offset}
	d, err := models.DecodeDLQRecord(rec.Value)
	if err != nil {
		return nil, fmt.Errorf("%s is no dead letter: %w", at, err)
	}
	source, _ := models.SourceOf(rec.Headers)
	l := &Letter{Timestamp: rec.Timestamp.UTC(), SentAt: time.UnixMilli(source.Timestamp).UTC()}
	l.Headers, l.request = rec.Headers, d.OriginalMessage
	l.View = View{
		MessageID: d.MessageID, Channel: d.Channel, Record: at, Time: writable(l.Timestamp), Source: SourceOf(rec),
		TenantID: l.header(models.HeaderTenantID), FailureType: d.FailureType, Attempts: d.Attempts, LastError: d.LastError,
		FirstFailedAt: d.FirstFailedAt, LastAttemptAt: d.LastAttemptAt, TraceID: d.TraceID, Meta: d.Meta,
		Batch: l.header(HeaderReplayBatch),
	}
	if n, err := strconv.Atoi(l.header(HeaderReplayCount)); err == nil && n > 0 {
		l.Replays = n
	}
	return l, nil
}

// header returns the last header of that name.
func (l *Letter) header(key string) string {
	for _, h := range slices.Backward(l.Headers) {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// SourceOf returns the position of the request that an event or dead letter is
// about, or the zero Position where its headers do not say.
func SourceOf(rec *kgo.Record) Position {
	source, _ := models.SourceOf(rec.Headers)
	if source.Partition < 0 || source.Offset < 0 {
		return Position{}
	}
	return Position{source.Topic, source.Partition, source.Offset}
}

// Omitted reports whether the request did not fit into the letter. The request's
// own meta may say so too, and then the request is there.
func (l *Letter) Omitted() bool {
	if l.Meta[models.MetaOriginalOmitted] != "true" {
		return false
	}
	value, err := l.request.Bytes()
	return err == nil && len(value) == 0
}
