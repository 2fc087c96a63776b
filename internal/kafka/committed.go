package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// committedBytes is what NextCommitted asks for: one batch is enough, and
// Kafka sends one whatever its size.
const committedBytes = 64 << 10

// NextCommitted looks for the first record from one offset to below another, the
// last stable one or less, that a reader of committed records is given. It
// returns that record and its offset; or nil and the offset below which there
// is none, which is less than to where the brokers do not say more. Below the
// last stable offset that does not change any more.
//
// Offsets that no such record has are transactions' markers, records that were
// rolled back, and what compaction has removed. A client does not tell how far
// it has come beyond the last record it handed out, so a fetch has to.
func NextCommitted(ctx context.Context, cl *kgo.Client, topic string, partition int32, from, to int64) (*kgo.Record, int64, error) {
	for from < to {
		found, next, err := fetchNext(ctx, cl, topic, partition, from)
		if err != nil {
			return nil, from, fmt.Errorf("fetch %s/%d from offset %d: %w", topic, partition, from, err)
		}
		if found != nil || next == from {
			return found, next, nil
		}
		from = next
	}
	return nil, from, nil
}

// fetchNext is NextCommitted with one fetch. It returns from where the answer
// does not say more.
func fetchNext(ctx context.Context, cl *kgo.Client, topic string, partition int32, from int64) (*kgo.Record, int64, error) {
	leader, id, err := leaderOf(ctx, cl, topic, partition)
	if err != nil {
		return nil, from, err
	}
	// It does not wait: the client's own fetches stand behind it.
	answer, err := FetchCommitted(ctx, leader, topic, id, partition, from, committedBytes, 0)
	if err != nil {
		return nil, from, err
	}
	found, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: from, IsolationLevel: kgo.ReadCommitted(), Topic: topic, Partition: partition,
	}, answer, kgo.DefaultDecompressor(), nil)
	if len(found.Records) > 0 && found.Err == nil {
		return found.Records[0], found.Records[0].Offset, nil
	}
	// An answer without a batch proves nothing: brokers give one too while
	// they do not know themselves how far they may read.
	return nil, max(from, next), found.Err
}

// leaderOf returns the leader of a partition and the id of its topic.
func leaderOf(ctx context.Context, cl *kgo.Client, topic string, partition int32) (*kgo.Broker, kadm.TopicID, error) {
	meta, err := kadm.NewClient(cl).Metadata(ctx, topic)
	if err != nil {
		return nil, kadm.TopicID{}, fmt.Errorf("ask for the leader: %w", err)
	}
	detail := meta.Topics[topic]
	leader, ok := detail.Partitions[partition]
	if err := errors.Join(detail.Err, leader.Err); err != nil {
		return nil, kadm.TopicID{}, fmt.Errorf("ask for the leader: %w", err)
	}
	if !ok || leader.Leader < 0 {
		return nil, kadm.TopicID{}, kerr.LeaderNotAvailable
	}
	return cl.Broker(int(leader.Leader)), detail.ID, nil
}

// FetchCommitted asks a partition's leader once for records as a reader of
// committed records is given them: the answer lists the transactions that were
// rolled back. The leader may wait for the first byte. Whether the topic's name
// counts or its id depends on the broker's version.
func FetchCommitted(
	ctx context.Context, leader *kgo.Broker, topic string, id kadm.TopicID, partition int32, from int64, bytes int32, wait time.Duration,
) (*kmsg.FetchResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchRequest()
	req.IsolationLevel, req.MinBytes, req.MaxBytes, req.MaxWaitMillis = 1, 1, bytes, int32(wait.Milliseconds()) //nolint:gosec // a second at most
	asked := kmsg.NewFetchRequestTopic()
	asked.Topic, asked.TopicID = topic, id
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = partition, from, bytes
	asked.Partitions = append(asked.Partitions, part)
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, leader)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what was asked
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("the broker's answer does not have the partition that was asked for")
	}
	return &resp.Topics[0].Partitions[0], nil
}
