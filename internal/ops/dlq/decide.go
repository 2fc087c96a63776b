package dlq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
)

// Outcome is what becomes of a letter in a replay.
type Outcome string

// The outcomes.
const (
	Replayed Outcome = "replayed" // in a dry run: would be
	Skipped  Outcome = "skipped"  // needs no replay
	Refused  Outcome = "refused"  // could not be replayed
)

// Reason says why a letter was skipped or refused.
type Reason string

// Error makes it the error of what leads to a refusal.
func (r Reason) Error() string { return string(r) }

// The reasons that an option of the replay lifts.
const (
	TooManyReplays Reason = "replayed 3 times already" // MaxReplays; Force lifts it
	Invalid        Reason = "did not validate"         // Edits may lift it
	Canceled       Reason = "canceled since"           // Force lifts it
)

// CancelInForce skips what a worker would cancel at once.
const CancelInForce Reason = "a cancel is in force"

// Verdict is what a replay makes of one letter.
type Verdict struct {
	MessageID string   `json:"message_id"`
	Record    Position `json:"record"` // of the letter
	Outcome   Outcome  `json:"outcome"`
	Reason    Reason   `json:"reason,omitzero"`       // of skipped and refused
	Details   []string `json:"details,omitzero"`      // what is wrong in particular, for example the violations
	Narrowed  int      `json:"narrowed_to,omitzero"`  // how many recipients are left; zero means all
	Count     int      `json:"replay_count,omitzero"` // the replay-count that it gets
	Topic     string   `json:"topic,omitzero"`        // where it goes to; empty: where it came from
	Expiring  bool     `json:"expiring,omitzero"`     // older than MESSAGE_MAX_AGE_SECONDS: the workers will not send it

	lane   *lane
	record *kgo.Record
}

func (v *Verdict) refuse(reason Reason, details ...string) *Verdict {
	v.Outcome, v.Reason, v.Details, v.Count, v.Topic, v.record = Refused, reason, details, 0, "", nil
	return v
}

func (v *Verdict) skip(reason Reason, details ...string) *Verdict {
	v.Outcome, v.Reason, v.Details = Skipped, reason, details
	return v
}

// decide looks at one letter. Its error is about Kafka, not the letter.
func (r *replay) decide(ctx context.Context, l *Letter) (*Verdict, error) {
	v := &Verdict{MessageID: l.MessageID, Record: l.Record, Outcome: Replayed}
	since := r.history.since(l)
	switch {
	case since.sent:
		return v.skip("sent since"), nil
	case r.replays[l.MessageID] > l.Replays:
		return v.skip("replayed before: its later dead letter stands for it"), nil
	case l.Source != (Position{}) && r.latest[l.Source] != l.Record:
		// A worker died before failed was written, and the next wrote it anew.
		return v.skip("written twice: the later dead letter of its delivery stands for it"), nil
	case since.canceled && !r.Force:
		return v.skip(Canceled), nil
	case since.underWay && !r.Force:
		return v.skip("under way: a later delivery of it has not ended"), nil
	case l.Replays >= MaxReplays && !r.Force:
		return v.refuse(TooManyReplays), nil
	case l.FailureType == models.FailureValidation && len(r.Edits) == 0:
		return v.refuse(Invalid, strings.TrimPrefix(l.LastError, "validation error: ")), nil
	}
	value, headers, err := r.original(ctx, l)
	if reason, ok := errors.AsType[Reason](err); ok {
		return v.refuse(reason), nil
	} else if err != nil {
		return nil, err
	}
	return r.prepare(v, l, value, headers), nil
}

// prepare makes the request that is put back.
func (r *replay) prepare(v *Verdict, l *Letter, value []byte, headers []kgo.RecordHeader) *Verdict {
	var err error
	if value, v.Narrowed, err = narrow(value, models.Channel(r.config.Channel), l.Meta); err != nil {
		return v.refuse(Reason(err.Error()))
	}
	for _, edit := range r.Edits {
		if value, err = edit.Apply(value); err != nil {
			return v.refuse("the edits do not fit", err.Error())
		}
	}
	lane := r.lanes[r.lane(l)]
	check := r.check(&models.Record{Topic: lane.topic.Name, Value: value})
	if len(check.Violations) > 0 {
		return v.refuse("would not validate", check.Violations...)
	}
	if canceled := r.canceled(&check.Envelope, lane); canceled != nil {
		return v.skip(CancelInForce, canceled.Reason)
	}
	age := lane.Worker.MaxAge
	v.Expiring = age > 0 && time.Since(check.Envelope.CreatedAt) > age
	key := []byte(check.Envelope.MessageID)
	v.Count = l.Replays + 1
	if from := l.Source.Topic; from != "" && from != lane.topic.Name {
		v.Topic = lane.topic.Name
	}
	v.lane, v.record = lane, &kgo.Record{
		Topic: lane.topic.Name, Partition: r.partition(l, lane, key), Key: key, Value: value,
		Headers: r.headers(headers, v.Count),
	}
	return v
}

// canceled returns what would end a request at once: a cancel in force. Nil is
// none.
func (r *replay) canceled(e *models.Envelope, to *lane) *orders.Canceled {
	watch := r.orders.Watch(orders.Message{ID: e.MessageID, Lane: models.Lane(to.Lane), Tenant: e.TenantID, Meta: e.Meta})
	defer watch.End()
	canceled, _ := errors.AsType[*orders.Canceled](watch.Standing())
	return canceled
}

// headers returns the request's own and what marks the replay.
func (r *replay) headers(all []kgo.RecordHeader, count int) []kgo.RecordHeader {
	var own []kgo.RecordHeader
	for _, h := range all {
		switch h.Key {
		case models.HeaderContentType, models.HeaderWorker, models.HeaderSourceTopic, models.HeaderSourcePartition,
			models.HeaderSourceOffset, models.HeaderSourceTimestamp, HeaderReplayCount, HeaderReplayBatch:
		default:
			own = append(own, h)
		}
	}
	return append(
		own, kgo.RecordHeader{Key: HeaderReplayCount, Value: strconv.AppendInt(nil, int64(count), 10)},
		kgo.RecordHeader{Key: HeaderReplayBatch, Value: []byte(r.Group)},
	)
}

// errOriginalGone refuses what can be read nowhere any more.
const errOriginalGone Reason = "the omitted original is gone from the request topic"

// original returns the letter's request and the headers that it had. A Reason
// is the error of one that cannot be read any more.
func (r *replay) original(ctx context.Context, l *Letter) ([]byte, []kgo.RecordHeader, error) {
	if !l.Omitted() {
		value, err := l.request.Bytes()
		if err != nil {
			return nil, nil, Reason("its original_message cannot be read")
		}
		return value, l.Headers, nil
	}
	name, ours := r.byTopic[l.Source.Topic]
	if !ours {
		return nil, nil, Reason("the omitted original is on another topic")
	}
	lane := r.lanes[name]
	if lane == nil {
		return nil, nil, errOriginalGone
	}
	rec, err := lane.topic.Record(ctx, l.Source.Partition, l.Source.Offset)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch the original of %s: %w", l.Record, err)
	}
	if rec == nil {
		return nil, nil, errOriginalGone
	}
	sum := sha256.Sum256(rec.Value)
	if strconv.Itoa(len(rec.Value)) != l.Meta[models.MetaOriginalBytes] || hex.EncodeToString(sum[:]) != l.Meta[models.MetaOriginalSHA256] {
		return nil, nil, Reason("the omitted original is gone: another record lies in its place")
	}
	if l.Meta[models.MetaHeadersOmitted] != "true" {
		return rec.Value, l.Headers, nil
	}
	// The letter has lost its meta too, and with it who did not get it.
	if all, err := recipients(rec.Value, []string{"to", "cc", "bcc"}); err != nil || len(all) > 1 {
		return nil, nil, Reason("its failed recipients did not fit into the letter: who got it is not known")
	}
	return rec.Value, rec.Headers, nil
}
