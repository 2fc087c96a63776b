package control

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/ops/scan"
	"messaging-worker/internal/orders"
)

// BoardOf returns the orders in force of the settings' channel as a worker that
// starts now would hold them. Without a control topic, or the right to read it,
// there are none.
func BoardOf(ctx context.Context, client *kgo.Client, c *config.Config) (*orders.Board, error) {
	board := orders.New(models.Channel(c.Channel), nil)
	topic, err := scan.Open(ctx, client, c.Kafka.ControlTopic)
	if err == nil {
		err = fill(ctx, board, topic)
	}
	if fault.Is(err, fault.NoTopic) || errors.Is(err, kerr.TopicAuthorizationFailed) {
		return nil, nil //nolint:nilnil // a nil Board has no orders
	}
	return board, err
}

func fill(ctx context.Context, board *orders.Board, topic *scan.Topic) error {
	spans, err := topic.Spans(ctx, time.Time{})
	if err != nil {
		return err
	}
	return topic.Read(ctx, spans, nil, func(rec *kgo.Record) error {
		_ = board.Apply(rec.Key, rec.Value) // what cannot be read is skipped
		return nil
	})
}
