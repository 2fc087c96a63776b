package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"

	"messaging-worker/test/stage"
)

// kind is a sort of request of the mixed traffic, and what must come of it.
type kind struct {
	share    int // of 100
	meta     []string
	edits    map[string]any
	sequence string
}

func mixed() []kind {
	return []kind{
		{share: 60, sequence: "queued 0, attempt 1, sent 1"},
		{share: 15, meta: []string{"scenario", "transient", "scenario_failures", "1"}, sequence: "queued 0, attempt 1, retry 1, attempt 2, sent 2"},
		{share: 3, meta: []string{"scenario", "transient", "scenario_failures", "2"}, sequence: "queued 0, attempt 1, retry 1, attempt 2, retry 2, attempt 3, sent 3"},
		{share: 2, meta: []string{"scenario", "transient"}, sequence: "queued 0, attempt 1, retry 1, attempt 2, retry 2, attempt 3, failed 3"},
		{share: 10, meta: []string{"scenario", "permanent"}, sequence: "queued 0, attempt 1, failed 1"},
		{share: 5, meta: []string{"scenario_latency_ms", "20"}, sequence: "queued 0, attempt 1, sent 1"},
		{share: 5, edits: map[string]any{"to": nil}, sequence: "failed 0"},
	}
}

// Ten thousand requests of mixed outcome, a fifth of them with transient
// failures: each has exactly its own sequence, in order, under one key, in its
// request's partition.
func TestMixedTraffic(t *testing.T) {
	t.Parallel()
	const total = 10000
	s := stage.New(t, models.SMS, stage.Options{})
	p := s.Work(map[string]string{"WORKER_CONCURRENCY": "100", "LOG_LEVEL": "info", "MAX_PENDING_MESSAGES": "2000"})
	p.WaitReady(http.StatusOK)

	unready := map[string]int{} // reasons
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				// A broker that does not answer in time says something of the
				// machine.
				if code, body := p.Get("/healthz/ready"); code != http.StatusOK && !strings.Contains(body, "deadline exceeded") {
					unready[body]++
				}
			}
		}
	}()

	want, letters := map[string]string{}, 0
	var records []*kgo.Record
	for _, k := range mixed() {
		for range total / 100 * k.share {
			id := stage.NewID()
			edits := stage.Hints(k.meta...)
			maps.Copy(edits, k.edits)
			want[id] = k.sequence
			if strings.Contains(k.sequence, "failed") {
				letters++
			}
			records = append(records, &kgo.Record{Key: []byte(id), Value: stage.Request(s.Channel, id, edits)})
		}
	}
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	s.Produce(records...)

	got := s.Events(total)
	if len(got) != total {
		t.Errorf("%d messages in the status topic, want %d", len(got), total)
	}
	partitions := map[int32]bool{}
	for id, events := range got {
		stage.CheckSequence(t, id, events, want[id])
		for _, e := range events {
			if strconv.Itoa(int(e.Record.Partition)) != stage.Header(e.Record, "source-partition") || string(e.Record.Key) != id || e.Source() != events[0].Source() {
				t.Errorf("%s: event in partition %d under key %s from %s", id, e.Record.Partition, e.Record.Key, e.Source())
			}
			partitions[e.Record.Partition] = true
		}
	}
	if len(partitions) != 12 {
		t.Errorf("events in %d partitions, want 12", len(partitions))
	}
	if dead := s.DeadLetters(letters); len(dead) != letters {
		t.Errorf("%d messages with dead letters, want %d", len(dead), letters)
	}
	s.Committed()
	close(stop)
	<-watched
	if len(unready) > 0 {
		t.Errorf("not ready during the traffic: %v", unready)
	}
	p.Stop()
}

// Fifty messages wait ten minutes for their next attempt, in a worker of five
// slots; five hundred others of the same partitions go through meanwhile.
func TestBackoffHoldsNobodyElse(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.WhatsApp, stage.Options{Partitions: 2})
	s.Work(map[string]string{"WORKER_CONCURRENCY": "5", "LOG_LEVEL": "info"})
	waiting := map[string]bool{}
	for range 50 {
		waiting[s.PutOne(stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "600000"))] = true
	}
	retries := 0
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool {
		if bytes.Contains(r.Value, []byte(`"retry"`)) {
			retries++
		}
		return retries == 50
	})
	s.PutMany(500)
	for id, events := range s.Events(500) {
		if want := "queued 0, attempt 1, sent 1"; !waiting[id] && stage.Sequence(events) != want {
			t.Errorf("%s: %s, want %s", id, stage.Sequence(events), want)
		}
		if want := "queued 0, attempt 1, retry 1"; waiting[id] && stage.Sequence(events) != want {
			t.Errorf("%s: %s, want %s", id, stage.Sequence(events), want)
		}
	}
}

// hostile are values that no sane producer writes.
func hostile() map[string][]byte {
	random := make([]byte, 3000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	id := stage.NewID()
	good := stage.Request(models.Email, id, nil)
	big := func(n int) string { return strings.Repeat("x", n) }
	return map[string][]byte{
		"random bytes":         random,
		"truncated":            good[:len(good)/2],
		"nested 2,000 deep":    []byte(`{"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`),
		"nested 100,000 deep":  []byte(strings.Repeat(`{"a":`, 100000)),
		"brackets only":        bytes.Repeat([]byte("["), 1<<20),
		"huge number":          []byte(`{"created_at":1` + strings.Repeat("0", 100000) + `}`),
		"exponent":             []byte(`{"to":1e400,"from":-1E-400}`),
		"repeated names":       []byte(`{"to":[],"to":[]}`),
		"8 MiB of text":        []byte(`{"body":{"content":"` + big(8<<20) + `"}}`),
		"8 MiB of not JSON":    []byte(big(8<<20 + 17)),
		"null value":           nil,
		"empty value":          {},
		"NUL bytes":            make([]byte, 1000),
		"a byte order mark":    append([]byte("\xef\xbb\xbf"), good...),
		"a no-break space":     append([]byte("\u00a0"), good...),
		"a line separator":     slices.Concat([]byte("\n\u2028"), good, []byte("\u2028")),
		"a form feed":          append([]byte("\f"), good...),
		"wrong types":          []byte(`{"message_id":{},"channel":[],"created_at":true,"meta":"x","from":1,"to":{},"cc":"a","bcc":3,"subject":[],"body":[]}`),
		"a million recipients": []byte(`{"to":[` + strings.TrimSuffix(strings.Repeat(`"x",`, 1000000), ",") + `]}`),
		"json null":            []byte(`null`),
		"lone surrogate":       []byte(`{"subject":"\udc00"}`),
	}
}

// Hostile bytes come to one failed and one dead letter each, byte-exact, and
// the next good message goes through.
func TestHostileBytes(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{Partitions: 1})
	s.Work(map[string]string{"LOG_LEVEL": "info"})
	var good []string
	sources := map[string]string{} // coordinates → name
	offset := 0
	all := hostile()
	for name, value := range all {
		s.Produce(&kgo.Record{Value: value})
		sources[fmt.Sprintf("%s/0/%d", s.Topic("request"), offset)] = name
		good = append(good, s.PutOne(nil))
		offset += 2
	}
	events := s.Events(2 * len(all))
	for _, id := range good {
		stage.CheckSequence(t, "a good message", events[id], "queued 0, attempt 1, sent 1")
	}
	letters := s.DeadLetters(len(all))
	for source, name := range sources {
		e, l := events[source], letters[source]
		if len(e) != 1 || stage.Sequence(e) != "failed 0" || !strings.HasPrefix(e[0].Error, "validation error: ") || len(l) != 1 {
			t.Errorf("%s: events %s, %d dead letters, want failed 0 and one", name, stage.Sequence(e), len(l))
			continue
		}
		if got := original(t, l[0]); !bytes.Equal(got, all[name]) {
			t.Errorf("%s: original_message holds %d bytes that differ from the record's %d", name, len(got), len(all[name]))
		}
	}
	s.Committed()
}

// original returns the bytes that a dead letter's reader finds: the object's
// text, or what the base64 stands for.
func original(t *testing.T, l stage.DeadLetter) []byte {
	t.Helper()
	raw := l.Wire["original_message"]
	if len(raw) > 0 && raw[0] == '{' {
		return raw
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		t.Errorf("original_message is neither object nor string: %v", err)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Errorf("original_message: %v", err)
	}
	return b
}

// A dead letter that its topic refuses as too large is written without the
// original, and harms none of its neighbours.
func TestDeadLettersTooLargeForTheirTopic(t *testing.T) {
	t.Parallel()
	small := "20000"
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1, DLQ: map[string]*string{"max.message.bytes": &small}})
	var records []*kgo.Record
	for i := range 60 {
		content := "short"
		if i%10 == 3 {
			content = hex.EncodeToString(randomBytes(30000)) // does not compress below the limit
		}
		r := &kgo.Record{Key: []byte(fmt.Sprint("key-", i)), Value: stage.Request(s.Channel, stage.NewID(), map[string]any{"x": content})}
		if i == 33 {
			r.Headers = []kgo.RecordHeader{{Key: "huge", Value: randomBytes(100000)}}
		}
		records = append(records, r)
	}
	s.Produce(records...)
	s.Work(nil)
	letters := s.DeadLetters(60)
	n := 0
	for _, list := range letters {
		l := list[0]
		omitted := l.Meta["original_omitted"] == "true"
		if omitted {
			n++
		}
		if !omitted && !bytes.Contains(original(t, l), []byte("short")) || omitted && (string(l.Wire["original_message"]) != `""` ||
			len(l.Meta["original_sha256"]) != 64 || l.Meta["original_bytes"] == "" || stage.Header(l.Record, "source-offset") == "") {
			t.Errorf("dead letter %.300s", l.Record.Value)
		}
	}
	if len(letters) != 60 || n != 6 {
		t.Errorf("%d dead letters, %d without their original, want 60 and 6", len(letters), n)
	}
	s.Committed()
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// Two records with one message id are two deliveries; a record without a key
// is a request like any other.
func TestEveryRecordIsAMessageOfItsOwn(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 3})
	s.Work(nil)
	id := stage.NewID()
	value := stage.Request(s.Channel, id, nil)
	s.Produce(&kgo.Record{Key: []byte(id), Value: value}, &kgo.Record{Key: []byte(id), Value: value}, &kgo.Record{Value: value, Partition: 2})
	bySource := map[string][]stage.Event{}
	for _, e := range s.Events(3)[id] {
		bySource[e.Source()] = append(bySource[e.Source()], e)
	}
	if len(bySource) != 3 {
		t.Errorf("events of %d records, want 3", len(bySource))
	}
	for source, events := range bySource {
		stage.CheckSequence(t, source, events, "queued 0, attempt 1, sent 1")
	}
}

// The status topic may have fewer partitions than the request topic.
func TestStatusPartitionIsTheRequestsModulo(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{NoTopics: true})
	for topic, n := range map[string]int32{"request": 7, "status": 3, "dlq": 2} {
		if _, err := s.Admin.CreateTopic(s.Ctx, n, 1, nil, s.Topic(topic)); err != nil {
			t.Fatal(err)
		}
	}
	s.Work(nil)
	var ids []string
	for p := range int32(7) {
		id := stage.NewID()
		ids = append(ids, id)
		s.Produce(&kgo.Record{Partition: p, Value: stage.Request(s.Channel, id, nil)})
	}
	events := s.Events(7)
	for p, id := range ids {
		parts := []int32{}
		for _, e := range events[id] {
			parts = append(parts, e.Record.Partition)
		}
		if want := slices.Repeat([]int32{int32(p % 3)}, 3); !slices.Equal(parts, want) {
			t.Errorf("request in partition %d: events in %v, want %v", p, parts, want)
		}
	}
}
