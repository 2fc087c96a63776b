package publisher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/producer"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
)

// DLQ writes rec and waits for the acknowledgement. A record that Kafka
// refuses as too large is written without the original, then also without
// the request's own headers and meta; its source headers still name the
// original.
// An error means only that ctx or the publisher has ended.
func (p *Publisher) DLQ(ctx context.Context, src *models.Record, rec *models.DLQRecord) error {
	for _, form := range []form{p.complete, p.withoutOriginal} {
		if err := p.write(ctx, src, rec, form); !errors.Is(err, producer.ErrTooLarge) {
			return err
		}
	}
	for {
		err := p.write(ctx, src, rec, p.smallest)
		if !errors.Is(err, producer.ErrTooLarge) {
			p.logged.Changed(p.options.DLQTopic, nil)
			return err
		}
		if p.logged.Changed(p.options.DLQTopic, err) {
			p.options.Log.Error().Err(err).Str("topic", p.options.DLQTopic).Str("source", src.Position()).
				Msg("max.message.bytes is too small for any dead letter; raise it, the message waits")
		}
		if err := lifetime.Sleep(ctx, 10*time.Second); err != nil {
			return err //nolint:wrapcheck // the cause of ctx's end
		}
	}
}

// form makes the record of a dead letter.
type form func(src *models.Record, rec *models.DLQRecord) (kgo.Record, error)

func (p *Publisher) write(ctx context.Context, src *models.Record, rec *models.DLQRecord, build form) error {
	r, err := build(src, rec)
	if err != nil {
		return err
	}
	return p.letters.Produce(r).Wait(ctx) //nolint:wrapcheck // ErrTooLarge, ErrClosed or the cause of ctx's end
}

func (p *Publisher) complete(src *models.Record, rec *models.DLQRecord) (kgo.Record, error) {
	r, err := p.deadLetter(src, rec)
	return withRequestHeaders(r, src), err
}

func (p *Publisher) withoutOriginal(src *models.Record, rec *models.DLQRecord) (kgo.Record, error) {
	return p.complete(src, omitOriginal(src, rec, rec.Meta))
}

func (p *Publisher) smallest(src *models.Record, rec *models.DLQRecord) (kgo.Record, error) {
	omitted := omitOriginal(src, rec, nil)
	omitted.Meta[models.MetaHeadersOmitted] = "true"
	omitted.LastError = models.CutRunes(omitted.LastError, models.MaxTextRunes)
	return p.deadLetter(src, omitted)
}

func (p *Publisher) deadLetter(src *models.Record, rec *models.DLQRecord) (kgo.Record, error) {
	value, err := rec.Encode()
	return p.record(p.options.DLQTopic, src, rec.MessageID, rec.TenantID, value), err
}

// omitOriginal returns a copy of rec with meta, which tells in the place of the
// original message what it was.
func omitOriginal(src *models.Record, rec *models.DLQRecord, meta map[string]string) *models.DLQRecord {
	sum := sha256.Sum256(src.Value)
	omitted := *rec
	omitted.OriginalMessage = models.Original{}
	omitted.Meta = maps.Clone(meta)
	if omitted.Meta == nil {
		omitted.Meta = map[string]string{}
	}
	omitted.Meta[models.MetaOriginalOmitted] = "true"
	omitted.Meta[models.MetaOriginalSHA256] = hex.EncodeToString(sum[:])
	omitted.Meta[models.MetaOriginalBytes] = strconv.Itoa(len(src.Value))
	return &omitted
}
