// Command bench measures the SMS worker against a bare franz-go loop on the
// same Apache Kafka, in the same run.
//
//	go run ./bench                      all scenarios, five runs each
//	go run ./bench -only W1,W2 -runs 1  some
//	go run ./bench -scale 0.1           smaller, to try
//	go run ./bench -out bench/RESULTS.md
//	go run ./bench -only W1 -against HEAD~20  beside an earlier revision
//
// It builds the workers, launches a Kafka of its own, and gives every run new
// topics. Figures are medians; the machine is whatever it runs on, so only the
// ratios of one run mean much elsewhere.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/test/kafka"
)

// options of the whole.
type options struct {
	runs  int
	scale float64
	only  string
	out   string
	other string // revision to compare with; empty means none
}

// bench is what all scenarios share.
type bench struct {
	options

	dir      string // for everything that is thrown away
	here     build  // of the working tree
	measured build  // by the present run
	brokers  []string
	cluster  *kafka.Cluster
	client   *kgo.Client
	admin    *kadm.Client
	topics   int // made so far
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == rawCommand {
		if err := raw(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.runs, "runs", 5, "how often each scenario runs")
	flag.Float64Var(&o.scale, "scale", 1, "share of the messages; 1 is what the results mean")
	flag.StringVar(&o.only, "only", "", "comma-separated scenarios; empty means all")
	flag.StringVar(&o.out, "out", "", "file for the report; empty prints it")
	flag.StringVar(&o.other, "against", "", "revision to measure beside the working tree: a commit, tag or branch")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench-*")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	chosen, err := b.prepare(ctx)
	if err != nil {
		return err
	}
	cluster, err := kafka.Launch(ctx, dir, kafka.Options{})
	if err != nil {
		return fmt.Errorf("launch Kafka: %w", err)
	}
	defer cluster.Close()
	b.cluster, b.brokers = cluster, cluster.Brokers()
	b.client, err = kgo.NewClient(
		kgo.SeedBrokers(b.brokers...), kgo.MaxBufferedRecords(1<<16), kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}),
	)
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer b.client.Close()
	b.admin = kadm.NewClient(b.client)
	results, err := b.measure(ctx, chosen)
	if err != nil {
		return err
	}
	report := write(o, chosen, results)
	if o.out == "" {
		fmt.Print(report)
		return nil
	}
	return os.WriteFile(o.out, []byte(report), 0o644)
}

// prepare builds what is measured and returns the scenarios to run.
func (b *bench) prepare(ctx context.Context) ([]scenario, error) {
	chosen, err := choose(b.only)
	if err != nil {
		return nil, err
	}
	if b.here, err = buildHere(ctx, b.dir); err != nil || b.other == "" {
		return chosen, err
	}
	other, err := buildRevision(ctx, b.dir, b.other)
	return beside(chosen, b.other, other), err
}

// measure runs the scenarios in turn, as often as asked.
func (b *bench) measure(ctx context.Context, chosen []scenario) (map[string][]figures, error) {
	results := map[string][]figures{}
	for n := range b.runs {
		for _, s := range chosen {
			f, err := s.measure(ctx, b)
			if ctx.Err() != nil {
				return nil, errors.New("interrupted")
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			fmt.Fprintf(os.Stderr, "run %d of %d, %s: %s\n", n+1, b.runs, s.name, f)
			results[s.name] = append(results[s.name], f)
		}
	}
	return results, nil
}

// partitioner sends records that name a partition there, and others by key.
type partitioner struct{ byKey kgo.Partitioner }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.byKey.ForTopic(topic)}
}

type topicPartitioner struct{ kgo.TopicPartitioner }

func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Key == nil {
		return int(r.Partition) % n
	}
	return p.TopicPartitioner.Partition(r, n)
}
