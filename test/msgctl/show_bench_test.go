package msgctl_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/scan"
	"messaging-worker/test/stage"
)

// How large the topic of BenchmarkStatusShow is.
const (
	benchMessages   = 1_000_000 // of three events each
	benchPartitions = 12
)

// BenchmarkStatusShow asks for single messages in a topic of 3,000,000 events:
//
//	go test ./test/msgctl -run '^$' -bench StatusShow -benchtime 5x
func BenchmarkStatusShow(b *testing.B) {
	name := "bench-" + stage.RandomHex(4)
	client, err := kgo.NewClient(
		kgo.SeedBrokers(stage.Suite.Broker.Addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(5*time.Millisecond),
	)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for _, kind := range []string{"request", "status", "dlq"} {
		if _, err := kadm.NewClient(client).CreateTopic(b.Context(), benchPartitions, 1, nil, name+"."+kind); err != nil {
			b.Fatal(err)
		}
	}
	byMurmur, elsewhere := fillStatus(b, client, name)
	for what, id := range map[string]string{
		"by-murmur2": byMurmur, "by-full-scan": elsewhere, "not-found": "00000000-0000-4000-8000-ffffffffffff",
	} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				show(b, name, id, what)
			}
		})
	}
}

func show(b *testing.B, name, id, what string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), filepath.Join(stage.Suite.Bin, "msgctl"), "status", "show", id, "--channel", "sms")
	cmd.Env = append(os.Environ(), "KAFKA_BROKERS="+strings.Join(stage.Suite.Broker.Addresses, ","),
		"KAFKA_SMS_REQUEST_TOPIC="+name+".request", "KAFKA_SMS_STATUS_TOPIC="+name+".status", "KAFKA_SMS_DLQ_TOPIC="+name+".dlq")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	b.ReportMetric(float64((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Milliseconds()), "cpu-ms/op")
	switch {
	case what == "not-found":
		if cmd.ProcessState.ExitCode() != 1 {
			b.Fatalf("exit %d: %s", cmd.ProcessState.ExitCode(), complaints.String())
		}
	case err != nil || strings.Count(out.String(), "attempt") < 1:
		b.Fatalf("%v: %s%s", err, out.String(), complaints.String())
	}
}

// fillStatus produces the events as workers do and returns an id that lies
// where murmur2 says and one that lies where no partitioner would put it.
func fillStatus(b *testing.B, client *kgo.Client, name string) (byMurmur, elsewhere string) {
	b.Helper()
	start := time.Now()
	for n := range benchMessages {
		id := benchID(n)
		partition := scan.Murmur2([]byte(id), benchPartitions)
		if n == benchMessages/2 {
			for partition == scan.Murmur2([]byte(id), benchPartitions) || partition == scan.CRC32([]byte(id), benchPartitions) {
				partition = (partition + 1) % benchPartitions
			}
			elsewhere = id
		}
		byMurmur = id
		for attempt, kind := range []models.EventType{models.EventQueued, models.EventAttempt, models.EventSent} {
			client.Produce(b.Context(), benchEvent(name, id, kind, min(attempt, 1), partition, n), func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
	}
	if err := client.Flush(context.WithoutCancel(b.Context())); err != nil {
		b.Fatal(err)
	}
	sizes, err := kadm.NewClient(client).DescribeAllLogDirs(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	bytes := int64(0)
	sizes.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if p.Topic == name+".status" {
				bytes += p.Size
			}
		})
	})
	fmt.Fprintf(os.Stderr, "%d events, %d MB on the broker's disk, produced in %v\n", 3*benchMessages, bytes>>20, time.Since(start).Round(time.Second))
	return byMurmur, elsewhere
}

func benchEvent(name, id string, kind models.EventType, attempt int, partition int32, n int) *kgo.Record {
	ev := &models.StatusEvent{MessageID: id, Channel: models.SMS, EventType: kind, Attempt: attempt, TraceID: hex.EncodeToString([]byte(id)[:16]), Timestamp: time.Now().UTC()}
	if kind == models.EventSent {
		ev.ProviderResponse = &models.ProviderResponse{Status: models.StatusOK, Code: 201, Meta: map[string]string{"sid.+15557654321": "SM" + id[:8] + id[24:]}}
	}
	value, err := ev.Encode()
	if err != nil {
		panic(err)
	}
	return &kgo.Record{Topic: name + ".status", Partition: partition, Key: []byte(id), Value: value, Headers: []kgo.RecordHeader{
		{Key: "content-type", Value: []byte("application/json")},
		{Key: "worker", Value: []byte("sms-worker@host-1")},
		{Key: "source-topic", Value: []byte(name + ".request")},
		{Key: "source-partition", Value: strconv.AppendInt(nil, int64(partition), 10)},
		{Key: "source-offset", Value: strconv.AppendInt(nil, int64(n), 10)},
		{Key: "source-timestamp", Value: strconv.AppendInt(nil, time.Now().UnixMilli(), 10)},
		{Key: "traceparent", Value: []byte("00-" + hex.EncodeToString([]byte(id)[:16]) + "-00f067aa0ba902b7-01")},
	}}
}

// benchID makes an id that looks random.
func benchID(n int) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(b[8:], uint64(n)*0xd1b54a32d192ed03+1)
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
