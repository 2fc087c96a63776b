package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// scenario is one thing that is measured.
type scenario struct {
	name, title string
	ideal       float64 // messages a second; 0 where there is none
	partitions  int32   // zero means manyPartitions
	run         measurement
	compared    bool  // with -against
	build       build // that is measured; empty means the working tree's
}

// measurement is what a scenario does on topics of its own.
type measurement func(ctx context.Context, b *bench, t topics) (figures, error)

// measure runs a scenario once, on fresh topics and with a bound.
func (s scenario) measure(ctx context.Context, b *bench) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	t, err := b.newTopics(ctx, cmp.Or(s.partitions, manyPartitions))
	if err != nil {
		return nil, err
	}
	defer b.drop(t)
	b.measured = build(cmp.Or(string(s.build), string(b.here)))
	return s.run(ctx, b, t)
}

// figures are what a run came to, by name.
type figures map[string]float64

// The figures' names.
const (
	perSecond  = "messages/s"
	micros     = "CPU µs/message"
	memory     = "MiB resident"
	growth     = "MiB/min growth"
	median     = "ms median"
	most       = "ms 99th percentile"
	read       = "journal records/s"
	records    = "journal records"
	ofSource   = "of smtp-source -d"
	perfTest   = "messages/s of kafka-producer-perf-test"
	ofPerfTest = "of kafka-producer-perf-test"
	next       = "s from start to next delivery"
	logSize    = "bytes of events/message"
	longest    = "ms longest"
	arrived    = "% of the codes that arrived"
	fullest    = "calls in the fullest second"
	leastShare = "% of the starts for the lower lane that has fewer"
	lastCall   = "ms from the command's return to the last call"
	bothOrNone = "messages both canceled and called, or neither"
	canceled   = "% canceled"
)

func (f figures) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		parts = append(parts, fmt.Sprintf("%s %s", number(f[name]), name))
	}
	return strings.Join(parts, ", ")
}

// bound is how long one run may take.
const bound = 10 * time.Minute

// manyPartitions is how many partitions a topic has where it does not matter.
const manyPartitions = 12

func scenarios() []scenario {
	w1 := map[string]string{"WORKER_CONCURRENCY": "100"}
	w2 := map[string]string{"WORKER_CONCURRENCY": "200", "MOCK_LATENCY_SECONDS": "0.05", "BASE_BACKOFF_SECONDS": "2", "MAX_BACKOFF_SECONDS": "2"}
	some := load{messages: 300_000, env: w1}
	less := load{messages: 200_000, env: w1}
	slow := load{messages: 40_000, env: w2}
	retried, held := slow, slow
	retried.every, retried.extra, retried.hints = 20, 2, hint{"scenario", "transient", "scenario_failures", "1"}
	held.every, held.hints = 1000, hint{"scenario_latency_ms", "10000"}
	produced := produceLoad{messages: 3_000_000, size: 300, batchBytes: 16384, lingerMS: 5, acks: "all", keys: "none", compression: "none"}
	keyed := produced
	keyed.keys = "message-id"
	list := []scenario{
		{name: "raw", title: "the bare loop, 300,000 messages", run: backlog(load{messages: 300_000, raw: true})},
		{name: "W1", title: "no provider latency, concurrency 100, 300,000 messages", run: backlog(some), compared: true},
		{name: "traces", title: "W1 with every message traced, to a collector that drops all", run: traced(some)},
		{name: "W2", title: "50 ms a call, concurrency 200, 40,000 messages", ideal: 4000, run: backlog(slow), compared: true},
		{name: "W3", title: "as W2, 5 % fail once and back off up to 2 s", ideal: 3810, run: backlog(retried), compared: true},
		{name: "W4", title: "as W2, 0.1 % of the calls take 10 s", ideal: 3336, run: backlog(held), compared: true},
		{name: "W5", title: "a backlog of 1,000,000 and a provider that never answers", run: stopped, compared: true},
		{name: "rest", title: "one message at rest, record timestamp to sent", run: atRest, compared: true},
		{name: "grow-1", title: "W1 on 1 partition", run: backlog(less), partitions: 1},
		{name: "grow-3", title: "W1 on 3 partitions", run: backlog(less), partitions: 3},
		{name: "grow-12", title: "W1 on 12 partitions", run: backlog(less)},
		{name: "grow-2x", title: "W1 on 12 partitions, two workers", run: backlog(load{messages: 200_000, env: w1, workers: 2})},
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		list = append(list, scenario{name: "events-" + codec, title: "W1 with KAFKA_COMPRESSION=" + codec, run: compressed(some, codec)})
	}
	codes := lanesLoad{bulk: 300_000, codes: 600}
	limited, hanging, full, moved, together := codes, codes, codes, codes, codes
	limited.env = map[string]string{"GROUP_RATE_PER_SECOND": "100"}
	hanging.hang = 10
	full.env, full.hang = map[string]string{"BULK_MAX_PENDING_MESSAGES": "100"}, 10
	moved.rebalance = true
	together.together = true
	list = append(list, []scenario{
		{name: "lanes", title: "300,000 bulk requests wait; 20 slots, 200 ms a call; two codes a second in the high lane for five minutes, record timestamp to the provider's log", run: codes.measure},
		{name: "lanes-rate", title: "the same with GROUP_RATE_PER_SECOND=100", run: limited.measure},
		{name: "lanes-hang", title: "the same while one call in ten takes 10 s", run: hanging.measure},
		{name: "lanes-full", title: "the same with bulk's pending bound of 100 full of such calls", run: full.measure},
		{name: "lanes-moved", title: "the same while a member joins bulk's group or leaves it every 5 s", run: moved.measure},
		{name: "lanes-one", title: "the same codes and campaign in one topic", run: together.measure},
		{name: "lanes-flood", title: "all three lanes flooded for a minute, 20 slots, 200 ms a call", run: floodedLanes},
		{name: "orders", title: "a hundred pauses of a tenant by msgctl on three workers while a fourth starts", run: pauses},
		{name: "orders-cancel", title: "10,000 messages, each canceled at a random moment", run: cancels},
	}...)
	return append(list, []scenario{
		{name: "twilio", title: "as W2, over HTTP to a fake Twilio", ideal: 4000, run: overHTTP(slow), compared: true},
		{name: "faults", title: "a fake Twilio that floods, hangs, lies and cuts in turn, concurrency 200", run: misbehaving},
		{name: "mail", title: "email, Kafka to SMTP, 50 connections, 50,000 messages of 1 KiB", run: mail, compared: true},
		{name: "load", title: "msgctl load, 3,000,000 requests of 300 bytes, acks=all, batches of 16 KiB, no keys", run: againstPerfTest(produced)},
		{name: "load-keys", title: "the same by message id", run: againstPerfTest(keyed)},
		{name: "crash", title: "kill -9 behind a 120 s backoff at 4,000 messages/s for 30 s, same instance id", run: crash, compared: true},
	}...)
}

// choose returns the scenarios of a list of names, or all of them.
func choose(only string) ([]scenario, error) {
	all := scenarios()
	if only == "" {
		return all, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// before marks the names of what another build was measured at.
const before = " before"

// beside puts the same by another build behind each scenario that compares.
func beside(chosen []scenario, revision string, other build) []scenario {
	var list []scenario
	for _, s := range chosen {
		list = append(list, s)
		if s.compared {
			s.name, s.title, s.build = s.name+before, "the same by "+revision, other
			list = append(list, s)
		}
	}
	return list
}
