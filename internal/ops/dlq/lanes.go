package dlq

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/ops/scan"
)

// lane is a request topic that requests are read from and put back on.
type lane struct {
	*config.Config

	topic   *scan.Topic
	writing *kgo.Client // of its own: topics differ in how large a batch may be
}

// lanes are those that are open.
type lanes map[models.Lane]*lane

// lane is where a letter's request goes to.
func (r *replay) lane(l *Letter) models.Lane {
	if r.ToLane != "" {
		return r.ToLane
	}
	return r.byTopic.Of(l.Source.Topic)
}

// openLanes opens all that the batch needs. Of a lane that is gone nothing can be
// read, and nothing need be.
func (r *replay) openLanes(ctx context.Context) error {
	for name := range r.goTo {
		if err := r.openLane(ctx, name); err != nil {
			return err
		}
	}
	for name := range r.originals {
		if err := r.openLane(ctx, name); err != nil && !fault.Is(err, fault.NoTopic) {
			return err
		}
	}
	return nil
}

// openLane opens a lane unless it is open.
func (r *replay) openLane(ctx context.Context, name models.Lane) error {
	if r.lanes[name] != nil {
		return nil
	}
	c, err := ops.LaneOf(r.config, name)
	if err != nil {
		return err
	}
	l := &lane{Config: c}
	if l.topic, err = scan.Open(ctx, r.reading, c.Kafka.RequestTopic); err != nil {
		return err
	}
	l.writing, err = ops.Connect(
		ctx, c, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(maxBytes(ctx, r.reading, l.topic.Name)),
	)
	if err != nil {
		return err
	}
	if r.lanes == nil {
		r.lanes = lanes{}
	}
	r.lanes[name] = l
	return nil
}

// maxBytes returns a request topic's limit, so that no batch is refused for
// its neighbours and no request that was let in once is too large now.
func maxBytes(ctx context.Context, client *kgo.Client, topic string) int32 {
	const usual, most = 1_000_012, 64 << 20
	n, err := kafka.MaxMessageBytes(ctx, client, topic)
	if err != nil || n < 1 {
		return usual // who may not ask gets Kafka's default
	}
	return int32(min(n, most))
}

// partition returns the one that a letter's request goes to: the number where
// it lay before, in its own topic or in another lane's. So it stays with the
// events that there are of it, whatever partitioner its producer uses.
func (r *replay) partition(l *Letter, to *lane, key []byte) int32 {
	n := to.topic.Partitions()
	if _, ours := r.byTopic[l.Source.Topic]; ours && int(l.Source.Partition) < n {
		return l.Source.Partition
	}
	return scan.Murmur2(key, n)
}

// targets lists the topics that requests go to, the most urgent lane's first.
func (r *replay) targets() []string {
	var names []string
	for _, name := range models.Lanes() {
		if r.goTo[name] {
			names = append(names, r.lanes[name].topic.Name)
		}
	}
	return names
}

// flush returns once Kafka has answered for all that was put back.
func (l lanes) flush(ctx context.Context) error {
	var failed []error
	for _, lane := range l {
		failed = append(failed, lane.writing.Flush(ctx))
	}
	return errors.Join(failed...)
}

func (l lanes) close() {
	for _, lane := range l {
		lane.writing.Close()
	}
}
