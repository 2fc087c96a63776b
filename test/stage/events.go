package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// Event is a status event with its record.
type Event struct {
	models.StatusEvent

	Record *kgo.Record
}

// Source names the request record: TOPIC/PARTITION/OFFSET.
func (e Event) Source() string {
	var parts []string
	for _, name := range []string{"source-topic", "source-partition", "source-offset"} {
		parts = append(parts, Header(e.Record, name))
	}
	return strings.Join(parts, "/")
}

// Final reports whether the event ends its message.
func (e Event) Final() bool { return e.EventType.Final() }

// InPlace reports whether an event is in the partition with its request's number.
func (s *Stage) InPlace(e Event) bool {
	partition, err := strconv.Atoi(Header(e.Record, "source-partition"))
	return err == nil && int32(partition)%s.statusPartitions == e.Record.Partition
}

// Header returns the value of a record header, or "".
func Header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Follow reads a topic from its start until enough says so. It gives up when
// nothing more comes.
func (s *Stage) Follow(topic string, enough func(r *kgo.Record) bool) {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers...), kgo.ConsumeTopics(topic), kgo.FetchMaxBytes(1<<20))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	read := 0
	for done := false; !done; {
		ctx, cancel := context.WithTimeout(s.Ctx, Patience)
		fetches := client.PollFetches(ctx)
		gone := ctx.Err() != nil
		cancel()
		if gone {
			s.t.Fatalf("waited %v for more of %s than its %d records; %v", Patience, topic, read, fetches.Err())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			done = enough(r) || done
		})
	}
}

// Events reads status events until that many are final, by message id.
func (s *Stage) Events(finals int) map[string][]Event {
	s.t.Helper()
	byID, seen := map[string][]Event{}, 0
	if finals == 0 {
		return byID
	}
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool {
		var ev models.StatusEvent
		if err := json.Unmarshal(r.Value, &ev); err != nil {
			s.t.Errorf("a status event is not JSON: %v", err)
		}
		e := Event{ev, r}
		byID[ev.MessageID] = append(byID[ev.MessageID], e)
		if e.Final() {
			seen++
		}
		return seen >= finals
	})
	return byID
}

// DeadLetter is a dead letter with its record.
type DeadLetter struct {
	models.DLQRecord

	Record *kgo.Record
	Wire   map[string]json.RawMessage
}

// DeadLetters reads that many dead letters, by message id.
func (s *Stage) DeadLetters(n int) map[string][]DeadLetter {
	s.t.Helper()
	byID, seen := map[string][]DeadLetter{}, 0
	if n == 0 {
		return byID
	}
	s.Follow(s.Topic("dlq"), func(r *kgo.Record) bool {
		rec, err := models.DecodeDLQRecord(r.Value)
		if err != nil {
			s.t.Errorf("a dead letter: %v", err)
		}
		l := DeadLetter{DLQRecord: rec, Record: r}
		if err := json.Unmarshal(r.Value, &l.Wire); err != nil {
			s.t.Errorf("a dead letter is not JSON: %v", err)
		}
		byID[rec.MessageID] = append(byID[rec.MessageID], l)
		seen++
		return seen >= n
	})
	return byID
}

// Sequence writes a message's events in short: "queued 0, attempt 1, sent 1".
func Sequence(events []Event) string {
	var parts []string
	for _, e := range events {
		parts = append(parts, string(e.EventType)+" "+strconv.Itoa(e.Attempt))
	}
	return strings.Join(parts, ", ")
}

// CheckSequence reports a message, or what is said of it, whose events are not
// those wanted, as Sequence writes them.
func CheckSequence(t *testing.T, message string, events []Event, want string) {
	t.Helper()
	if got := Sequence(events); got != want {
		t.Errorf("%s: events %q, want %q", message, got, want)
	}
}

// SoFar returns the status events that are there now.
func (s *Stage) SoFar() map[string][]Event {
	s.t.Helper()
	ends, err := s.Admin.ListEndOffsets(s.Ctx, s.Topic("status"))
	if err != nil {
		s.t.Fatal(err)
	}
	finals, total := 0, int64(0)
	ends.Each(func(o kadm.ListedOffset) { total += o.Offset })
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool {
		if e := string(r.Value); strings.Contains(e, `"sent"`) || strings.Contains(e, `"failed"`) || strings.Contains(e, `"canceled"`) {
			finals++
		}
		total--
		return total == 0
	})
	return s.Events(finals)
}

// LedgerIDs counts the lines of a ledger by message id.
func LedgerIDs(t *testing.T, path string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for line := range strings.Lines(string(data)) {
		ids[strings.Fields(line)[1]]++
	}
	return ids
}

// AllDelivered checks that the provider accepted every message.
func AllDelivered(t *testing.T, ledger string, ids map[string]bool) {
	t.Helper()
	accepted := LedgerIDs(t, ledger)
	for id := range ids {
		if accepted[id] == 0 {
			t.Errorf("%s was never delivered", id)
		}
	}
}

// DeliveredOnce checks that the provider accepted each of these messages once,
// and nothing else.
func DeliveredOnce(t *testing.T, ledger string, ids map[string]bool) {
	t.Helper()
	AllDelivered(t, ledger, ids)
	if n := Lines(ledger); n != len(ids) {
		t.Errorf("%d deliveries of %d messages", n, len(ids))
	}
}

// Lines counts the lines of a file that may not exist yet.
func Lines(path string) int {
	data, _ := os.ReadFile(path)
	return bytes.Count(data, []byte("\n"))
}
