package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// waitRecords waits until the topic has that many records.
func (b *bench) waitRecords(ctx context.Context, topic string, n int) error {
	for {
		ends, err := b.admin.ListEndOffsets(ctx, topic)
		if err == nil {
			sum := int64(0)
			ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
			if sum >= int64(n) {
				return nil
			}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s has not got %d records: %w", topic, n, ctx.Err())
		}
	}
}

// logSize returns the bytes of a topic on the brokers' disks.
func (b *bench) logSize(ctx context.Context, topic string) (int64, error) {
	dirs, err := b.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("ask how large %s is: %w", topic, err)
	}
	sum := int64(0)
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if p.Topic == topic {
				sum += p.Size
			}
		})
	})
	return sum, nil
}

// sentTimes reads the topic's first n records back and returns when the sent
// events among them were written, ascending.
func (b *bench) sentTimes(ctx context.Context, topic string, n int) ([]time.Time, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.brokers...), kgo.ConsumeTopics(topic))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer client.Close()
	var times []time.Time
	for seen := 0; seen < n; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s back: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			if bytes.Contains(r.Value, []byte(`"event_type":"sent"`)) {
				times = append(times, r.Timestamp)
			}
		})
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, nil
}

// steady is a run between the 10th and the 90th percentile of sent: what is
// before is the start, and what is behind is the end of the backlog.
type steady struct {
	from, to time.Time
	messages int
}

func between(times []time.Time) steady {
	from, to := len(times)/10, len(times)*9/10
	return steady{times[from], times[to], to - from}
}

// rate is in messages a second.
func (s steady) rate() float64 { return float64(s.messages) / s.to.Sub(s.from).Seconds() }

// cost is the processor time a message, in microseconds.
func (s steady) cost(ps ...*process) float64 {
	sum := time.Duration(0)
	for _, p := range ps {
		sum += p.cpu(s.from, s.to)
	}
	return float64(sum.Microseconds()) / float64(s.messages)
}

// count returns how many records the topic has.
func (b *bench) count(ctx context.Context, topic string) (int, error) {
	ends, err := b.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("ask for the end of %s: %w", topic, err)
	}
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return int(sum), nil
}

// latencies reads the first n status records back and returns how long each
// request took until its sent.
func (b *bench) latencies(ctx context.Context, topic string, n int, asked map[string]time.Time) ([]time.Duration, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.brokers...), kgo.ConsumeTopics(topic))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer client.Close()
	var list []time.Duration
	for seen := 0; seen < n; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s back: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			var event struct {
				Type      string    `json:"event_type"`
				Timestamp time.Time `json:"timestamp"`
			}
			if json.Unmarshal(r.Value, &event) == nil && event.Type == "sent" {
				list = append(list, event.Timestamp.Sub(asked[string(r.Key)]))
			}
		})
	}
	return list, nil
}
