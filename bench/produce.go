package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// produceLoad is one setting of both producers.
type produceLoad struct {
	messages    int
	size        int
	batchBytes  int
	lingerMS    int
	acks, keys  string
	compression string
}

// againstPerfTest measures msgctl load and kafka-producer-perf-test one after
// the other, in an order drawn by chance, on topics of their own.
func againstPerfTest(l produceLoad) measurement {
	return func(ctx context.Context, b *bench, _ topics) (figures, error) {
		l := l
		l.messages = max(int(float64(l.messages)*b.scale), 1000)
		runs := []func(context.Context, *bench, produceLoad, topics) (figures, error){runLoad, runPerfTest}
		if rand.IntN(2) == 0 {
			runs[0], runs[1] = runs[1], runs[0]
		}
		f := figures{}
		for _, run := range runs {
			t, err := b.newTopics(ctx, manyPartitions)
			if err != nil {
				return nil, err
			}
			measured, err := run(ctx, b, l, t)
			b.drop(t)
			if err != nil {
				return nil, err
			}
			maps.Copy(f, measured)
		}
		f[ofPerfTest] = f[perSecond] / f[perfTest]
		return f, nil
	}
}

// runLoad measures ours.
func runLoad(ctx context.Context, b *bench, l produceLoad, t topics) (figures, error) {
	cmd := exec.CommandContext(ctx, b.measured.path("msgctl"), "load", "--output", "json", "--channel", "sms", "--messages", strconv.Itoa(l.messages),
		"--size", strconv.Itoa(l.size), "--keys", l.keys, "--acks", l.acks, "--batch-bytes", strconv.Itoa(l.batchBytes),
		"--linger", fmt.Sprint(l.lingerMS, "ms"), "--compression", l.compression)
	cmd.Env = append(cmd.Environ(), "KAFKA_BROKERS="+strings.Join(b.brokers, ","), "KAFKA_SMS_REQUEST_TOPIC="+t.requests)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("msgctl load: %w\n%s", err, out)
	}
	var report struct {
		PerSecond float64 `json:"messages_per_second"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("read report of msgctl load: %w", err)
	}
	f := figures{perSecond: report.PerSecond}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		f[memory] = float64(usage.Maxrss) / 1024
	}
	return f, nil
}

// runPerfTest measures kafka-producer-perf-test. It gets its payload from a
// file: otherwise it draws every byte of every record by chance, which costs it
// more than sending them.
func runPerfTest(ctx context.Context, b *bench, l produceLoad, t topics) (figures, error) {
	payload := filepath.Join(b.dir, "payload")
	if err := os.WriteFile(payload, bytes.Repeat([]byte("x"), l.size), 0o600); err != nil {
		return nil, fmt.Errorf("write payload: %w", err)
	}
	cmd := b.cluster.Tool(ctx, "org.apache.kafka.tools.ProducerPerformance", "--topic", t.requests,
		"--num-records", strconv.Itoa(l.messages), "--payload-file", payload, "--throughput", "-1", "--producer-props",
		"bootstrap.servers="+strings.Join(b.brokers, ","), "acks="+l.acks, "batch.size="+strconv.Itoa(l.batchBytes),
		"linger.ms="+strconv.Itoa(l.lingerMS), "compression.type="+l.compression)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("kafka-producer-perf-test: %w\n%s", err, out)
	}
	// The last line sums up; those before are five-second windows.
	found := regexp.MustCompile(`(?m)^\d+ records sent, ([0-9.]+) records/sec.* 99\.9th`).FindSubmatch(out)
	if found == nil {
		return nil, errors.New("kafka-producer-perf-test printed no sum: " + string(out))
	}
	rate, err := strconv.ParseFloat(string(found[1]), 64)
	return figures{perfTest: rate}, err
}
