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

// Letter is a dead letter with what its record says.
type Letter struct {
	models.DLQRecord

	At      Position
	Time    time.Time          // the record's timestamp, UTC
	Source  Position           // of the request; none where the headers do not say
	SentAt  time.Time          // the request's record timestamp; before 1970 where the headers do not say
	Headers []kgo.RecordHeader // all of them
	Replays int                // how often the request had been put back
	Batch   string             // of the last time; empty for none
}

// Parse reads a dead letter's record. TenantID is the header's.
func Parse(rec *kgo.Record) (*Letter, error) {
	at := Position{rec.Topic, rec.Partition, rec.Offset}
	decoded, err := models.DecodeDLQRecord(rec.Value)
	if err != nil {
		return nil, fmt.Errorf("%s is no dead letter: %w", at, err)
	}
	l := &Letter{DLQRecord: decoded, At: at, Time: rec.Timestamp.UTC(), Headers: rec.Headers}
	l.TenantID = l.header(models.HeaderTenantID)
	l.Source = SourceOf(rec)
	source, _ := models.SourceOf(rec.Headers)
	l.SentAt = time.UnixMilli(source.Timestamp).UTC()
	if n, err := strconv.Atoi(l.header(HeaderReplayCount)); err == nil && n > 0 {
		l.Replays = n
	}
	l.Batch = l.header(HeaderReplayBatch)
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
	value, err := l.OriginalMessage.Bytes()
	return err == nil && len(value) == 0
}
