package msgctl_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// transacted are requests to one number each, as records for a transaction.
func transacted(s *stage.Stage, ids ...string) []*kgo.Record {
	var records []*kgo.Record
	for _, id := range ids {
		records = append(records, &kgo.Record{Key: []byte(id), Value: stage.Request(s.Channel, id, nil)})
	}
	return records
}

// A message that was rolled back, or is in an open transaction, is unknown;
// one that was committed is shown like any other.
func TestStatusBesideTransactions(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{})
	s.Work(nil)
	u := s.Upstream("upstream", 10*time.Minute)
	u.Begin(transacted(s, idRetried)...)
	u.End(kgo.TryAbort)
	u.Begin(transacted(s, idPartial)...)
	u.End(kgo.TryCommit)
	u.Begin(transacted(s, idOther)...)
	s.Events(1)
	for id, says := range map[string]string{idRetried: "", idOther: "", idPartial: "stands: sent"} {
		r := msgctl(t, s, "", "status", "show", id)
		if known := says != ""; known != (r.code == 0) || !strings.Contains(r.out, says) {
			t.Errorf("status show exits %d and says %s%s, want %q", r.code, r.out, r.err, says)
		}
	}
	stage.Eventually(t, func() string { // what is finished has yet to be committed
		r := msgctl(t, s, "", "check", "--channel", "sms")
		if strings.Contains(r.out, "0 requests waiting; 1 more in an open transaction, or behind one") {
			return ""
		}
		return r.out
	})
	u.End(kgo.TryCommit)
	s.Events(2)
	s.Committed()
	if r := msgctl(t, s, "", "status", "show", idOther); r.code != 0 || !strings.Contains(r.out, "stands: sent") {
		t.Errorf("status show exits %d once it is committed: %s%s", r.code, r.out, r.err)
	}
}

// Load waits behind an open transaction and counts none of it as its own.
func TestLoadBesideTransactions(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{Partitions: 3})
	s.Work(nil)
	rolledBack, open := s.Upstream("rolled back", 10*time.Minute), s.Upstream("open", 10*time.Minute)
	for p := range int32(3) {
		rolledBack.Begin(s.Requests(2, p)...)
		rolledBack.End(kgo.TryAbort)
	}
	open.Begin(append(s.Requests(1, 0), s.Requests(1, 1)...)...)
	ended := make(chan result)
	go func() {
		ended <- msgctl(t, s, "", "load", "--channel", "sms", "--messages", "300", "--await", "--timeout", "2m", "--output", "json")
	}()
	s.Events(50) // in the one partition without
	open.End(kgo.TryAbort)
	r := <-ended
	if got := readLoad(t, r); r.code != 0 || got.Outcome.Sent != 300 || got.Outcome.Lost+got.Outcome.Doubled != 0 {
		t.Errorf("load exits %d and reports %s%s", r.code, r.out, r.err)
	}
	s.Committed()
	if n := len(s.Events(300)); n != 300 {
		t.Errorf("%d messages have events, want those of load alone", n)
	}
}

// A dead letter without its original is replayed with the request that was
// committed, and never with one that was rolled back. A dead letter that was
// rolled back itself is none.
func TestReplayBesideTransactions(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{Partitions: 1})
	u := s.Upstream("upstream", 10*time.Minute)
	for id, how := range map[string]kgo.TransactionEndTry{idRefused: kgo.TryAbort, idSpent: kgo.TryCommit} {
		r := transacted(s, id)[0]
		u.Begin(r)
		u.End(how)
		u.BeginOn(s.Topic("dlq"), omitted(r))
		u.End(kgo.TryCommit)
	}
	u.BeginOn(s.Topic("dlq"), omitted(transacted(s, idInvalid)[0]))
	u.End(kgo.TryAbort)

	r := msgctl(t, s, "", "dlq", "list", "-o", "json")
	if r.code != 0 || strings.Count(r.out, "\n") != 2 || strings.Contains(r.out, idInvalid) {
		t.Errorf("dlq list exits %d with %s%s, want the two that were committed", r.code, r.out, r.err)
	}
	r = msgctl(t, s, "", "dlq", "replay", "--channel", "sms", "--yes")
	if r.code != 1 || !strings.Contains(r.out, "the omitted original is gone from the request topic") {
		t.Errorf("dlq replay exits %d with %s%s, want the one that was rolled back to be refused", r.code, r.out, r.err)
	}
	s.Work(nil)
	if events := s.Events(1); len(events) != 1 || len(events[idSpent]) == 0 {
		t.Errorf("there are events of %d messages, want those of the committed one", len(events))
	}
	s.Committed()
}

// omitted makes the dead letter of a request that did not fit into it.
func omitted(r *kgo.Record) *kgo.Record {
	sum := sha256.Sum256(r.Value)
	letter := models.DLQRecord{
		MessageID: string(r.Key), Channel: models.SMS, Attempts: 1, FailureType: models.FailurePermanent, LastError: "permanent error: http 400",
		FirstFailedAt: time.Now().UTC(), LastAttemptAt: time.Now().UTC(),
		Meta: map[string]string{
			models.MetaOriginalOmitted: "true", models.MetaOriginalBytes: strconv.Itoa(len(r.Value)),
			models.MetaOriginalSHA256: hex.EncodeToString(sum[:]),
		},
	}
	value, err := letter.Encode()
	if err != nil {
		panic(err)
	}
	at := func(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
	return &kgo.Record{Key: r.Key, Value: value, Headers: []kgo.RecordHeader{
		{Key: models.HeaderSourceTopic, Value: []byte(r.Topic)},
		{Key: models.HeaderSourcePartition, Value: at(int64(r.Partition))},
		{Key: models.HeaderSourceOffset, Value: at(r.Offset)},
		{Key: models.HeaderSourceTimestamp, Value: at(r.Timestamp.UnixMilli())},
	}}
}
