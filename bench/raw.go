package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// rawCommand makes the program the bare loop: BROKERS GROUP REQUESTS STATUS.
const rawCommand = "raw"

// raw is the limit that the worker is measured against: fetch, decode, three
// status records of the worker's size, commit after their acknowledgement.
// It uses the standard library's JSON, checks nothing, writes no headers,
// waits for no attempt, and forgets everything when it dies.
func raw(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("raw wants BROKERS GROUP REQUESTS STATUS, got %d arguments", len(args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(args[0], ",")...), kgo.ConsumerGroup(args[1]), kgo.ConsumeTopics(args[2]),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.MaxBufferedRecords(1<<17),
		kgo.ProducerLinger(3*time.Millisecond), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
	)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer client.Close()
	for ctx.Err() == nil {
		if err := rawBatch(ctx, client, args[3]); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// rawBatch takes what was fetched to its commit.
func rawBatch(ctx context.Context, client *kgo.Client, status string) error {
	var acked sync.WaitGroup
	var failed error
	var once sync.Once
	fail := func(err error) {
		if err != nil {
			once.Do(func() { failed = err })
		}
	}
	client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
		events, err := rawEvents(r)
		fail(err)
		for _, value := range events {
			acked.Add(1)
			client.Produce(ctx, &kgo.Record{Topic: status, Key: r.Key, Value: value}, func(_ *kgo.Record, err error) {
				fail(err)
				acked.Done()
			})
		}
	})
	acked.Wait()
	if failed != nil {
		return fmt.Errorf("raw loop: %w", failed)
	}
	if err := client.CommitUncommittedOffsets(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// rawEvents decodes a request and encodes the events of a message that is sent
// at the first attempt.
func rawEvents(r *kgo.Record) ([3][]byte, error) {
	var events [3][]byte
	var request struct {
		MessageID string            `json:"message_id"`
		Channel   string            `json:"channel"`
		TenantID  string            `json:"tenant_id"`
		TraceID   string            `json:"trace_id"`
		CreatedAt time.Time         `json:"created_at"`
		Meta      map[string]string `json:"meta"`
		From      string            `json:"from"`
		To        []string          `json:"to"`
		Body      struct {
			Type    string `json:"type"`
			Content string `json:"content"`
		} `json:"body"`
	}
	if err := json.Unmarshal(r.Value, &request); err != nil {
		return events, err
	}
	for n, event := range []models.EventType{models.EventQueued, models.EventAttempt, models.EventSent} {
		var err error
		events[n], err = json.Marshal(&models.StatusEvent{
			MessageID: request.MessageID, Channel: models.SMS, EventType: event, Attempt: min(n, 1),
			TraceID: request.TraceID, Timestamp: time.Now().UTC(),
		})
		if err != nil {
			return events, err
		}
	}
	return events, nil
}
