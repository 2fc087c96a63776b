package cluster

import (
	"encoding/base64"
	"fmt"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// The parts of a record's size beside its value, in bytes.
const (
	// framing is Kafka's own: the batch's header has 61, the record's lengths
	// and deltas at most 36.
	framing = 128

	// keyAndHeaders is the room for a request's key and the headers of its
	// producer. Kafka has no bound for them, so this one is ours.
	keyAndHeaders = 16 << 10

	// ownHeaders is the room for the headers that the worker writes: topic,
	// client id and host of up to 255 bytes each, a tenant of 1,024 runes,
	// numbers, traceparent and all their names.
	ownHeaders = 8 << 10

	// perRune is the most that JSON makes of a rune: \u001f.
	perRune = 6

	// mailbox is the most that JSON makes of an address of 254 bytes, each
	// one a quote that needs a backslash, and the comma behind it.
	mailbox = 2*254 + 1

	// recipientNote is what an event holds about a recipient at most: a name
	// with its number, 200 runes of the provider's, and the number in a list.
	recipientNote = 200*perRune + 64

	// usualMax is Kafka's own default. Batches of many small records need it,
	// however small each of them is.
	usualMax = 1048588

	// recordMax is the largest record that a worker writes and that brokers
	// accept without further settings.
	recordMax = 96 << 20
)

// sizes are what max.message.bytes must be at least. Kafka compares it to
// whole batches, compressed; a worker and most producers send a large record
// in a batch of its own, and what does not compress is sent as it is.
type sizes struct{ request, status, dlq int64 }

func sizesOf(l *config.Limits) sizes {
	request := int64(l.MessageBytes) + keyAndHeaders + framing
	return sizes{request: max(usualMax, request), status: max(usualMax, statusBytes(l)), dlq: max(usualMax, letterBytes(request, l))}
}

// letterBytes is the size of the largest dead letter of a request record of
// that size. What is not a JSON object is base64 in it, a third longer than it
// was. Beside it are the texts, each cut to its limit, meta, the
// addresses that the message did not reach, and the request's own headers,
// which the record's size has counted already.
func letterBytes(request int64, l *config.Limits) int64 {
	texts := int64(models.MaxKeyBytes+models.MaxErrorRunes+models.MaxTextRunes) * perRune
	meta := int64(l.MetaEntries) * int64(l.MetaKeyRunes+min(l.MetaValueRunes, models.MaxTextRunes)+2) * perRune
	failed := 3 * int64(l.Recipients) * mailbox
	names := int64(1 << 10) // of the members, with numbers and times
	return int64(base64.StdEncoding.EncodedLen(int(request))) + texts + meta + failed + names + models.MaxKeyBytes + ownHeaders + framing
}

// statusBytes is the size of the largest status event: texts cut to their
// limits, and a note about each recipient of to, cc and bcc.
func statusBytes(l *config.Limits) int64 {
	texts := int64(models.MaxKeyBytes+models.MaxErrorRunes+3*models.MaxTextRunes) * perRune
	return texts + 3*int64(l.Recipients)*recipientNote + 1<<10 + models.MaxKeyBytes + ownHeaders + framing
}

// checkTopicSettings refuses settings by which no topic can serve. The error
// is an *config.Error.
func checkTopicSettings(c *config.Config) error {
	var problems []string
	if t := &c.Kafka.Topic; t.MinISR > t.Replication {
		problems = append(problems, fmt.Sprintf(
			"KAFKA_TOPIC_MIN_ISR: %d is above KAFKA_TOPIC_REPLICATION (%d): no more replicas can be in sync than there are", t.MinISR, t.Replication))
	}
	if s := sizesOf(&c.Limits); s.dlq > recordMax {
		problems = append(problems, fmt.Sprintf(
			"MSG_MAX_BYTES: the dead letter of a request of %d bytes takes %d; above %d brokers refuse it: lower MSG_MAX_BYTES",
			c.Limits.MessageBytes, s.dlq, recordMax))
	}
	if len(problems) > 0 {
		return &config.Error{Problems: problems}
	}
	return nil
}
