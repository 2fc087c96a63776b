package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// committedBytes is what NextCommitted asks for: one batch is enough, and
// Kafka sends one whatever its size.
const committedBytes = 64 << 10

// NextCommitted looks, with one fetch, for the first record at or behind an
// offset that a reader of committed records is given. It returns that record
// and its offset; or nil and the offset below which there is none, which is
// from itself where the answer does not say more. Below the last stable offset
// that does not change any more.
//
// Offsets that no such record has are transactions' markers, records that were
// rolled back, and what compaction has removed. A client does not tell how far
// it has come beyond the last record it handed out, so a fetch has to.
func NextCommitted(ctx context.Context, cl *kgo.Client, topic string, partition int32, from int64) (*kgo.Record, int64, error) {
	answer, err := fetchCommitted(ctx, cl, topic, partition, from)
	if err != nil {
		return nil, from, fmt.Errorf("fetch %s/%d from offset %d: %w", topic, partition, from, err)
	}
	found, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: from, IsolationLevel: kgo.ReadCommitted(), Topic: topic, Partition: partition,
	}, answer, kgo.DefaultDecompressor(), nil)
	if found.Err != nil {
		return nil, from, fmt.Errorf("fetch %s/%d from offset %d: %w", topic, partition, from, found.Err)
	}
	if len(found.Records) > 0 {
		return found.Records[0], found.Records[0].Offset, nil
	}
	// An answer without a batch proves nothing: brokers give one too while
	// they do not know themselves how far they may read.
	return nil, max(from, next), nil
}

// fetchCommitted asks the partition's leader once.
func fetchCommitted(
	ctx context.Context, cl *kgo.Client, topic string, partition int32, from int64,
) (*kmsg.FetchResponseTopicPartition, error) {
	meta, err := kadm.NewClient(cl).Metadata(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("ask for the leader: %w", err)
	}
	detail := meta.Topics[topic]
	leader, ok := detail.Partitions[partition]
	if err := errors.Join(detail.Err, leader.Err); err != nil {
		return nil, fmt.Errorf("ask for the leader: %w", err)
	}
	if !ok || leader.Leader < 0 {
		return nil, kerr.LeaderNotAvailable
	}
	req := kmsg.NewPtrFetchRequest()
	req.IsolationLevel, req.MinBytes, req.MaxBytes = 1, 1, committedBytes // and no wait: the client's own fetches stand behind it
	asked := kmsg.NewFetchRequestTopic()
	asked.Topic, asked.TopicID = topic, detail.ID // which of them counts depends on the broker's version
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = partition, from, committedBytes
	asked.Partitions = append(asked.Partitions, part)
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, cl.Broker(int(leader.Leader)))
	if err != nil {
		return nil, err //nolint:wrapcheck // NextCommitted says what was asked
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("the broker's answer does not have the partition that was asked for")
	}
	return &resp.Topics[0].Partitions[0], nil
}
