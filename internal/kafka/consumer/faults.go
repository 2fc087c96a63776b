package consumer

import (
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
)

// faults are the present errors of reading requests. An error ends with the
// first success after it: records of its partition, or a fetch that returns
// neither records nor an error.
//
// The client does not report an empty fetch. But its hook sees each answer, and
// the client fetches again from a broker once what the last answer brought, be
// it records or an error, was polled. So while an error goes on, at most two
// answers come between two notes of it: the next one that has it, and one more
// between its poll and its note. A third answer proves that one had no error.
type faults struct {
	kafka.ErrorLog

	mu sync.Mutex
	// by partition that has an error: fetches of its leader that were answered
	// since it was noted; below zero is the whole topic
	answers map[int32]int
}

const answersThatProve = 3

// note keeps an error, and reports whether it is to be logged.
func (f *faults) note(partition int32, err error) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answers == nil {
		f.answers = map[int32]int{}
	}
	f.answers[partition] = 0
	return f.Changed(subject(partition), err)
}

// over ends the error of a partition, and that of the whole topic.
func (f *faults) over(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.answers {
		if p == partition || p < 0 {
			f.end(p)
		}
	}
}

// end is called with f.mu held.
func (f *faults) end(partition int32) {
	delete(f.answers, partition)
	f.Changed(subject(partition), nil)
}

// answered counts an answered fetch of a broker.
func (f *faults) answered(broker int32, leader func(partition int32) int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.answers {
		if p >= 0 && leader(p) != broker {
			continue
		}
		if f.answers[p]++; f.answers[p] >= answersThatProve {
			f.end(p)
		}
	}
}

// OnBrokerE2E implements kgo.HookBrokerE2E: it watches the client's fetches.
func (g *group) OnBrokerE2E(meta kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == kmsg.Fetch.Int16() && e2e.Err() == nil && g.running() {
		g.partitions.faults.answered(meta.NodeID, g.leader)
	}
}

var _ kgo.HookBrokerE2E = (*group)(nil)

// leader returns the broker that a partition is read from, or -1.
func (g *group) leader(partition int32) int32 {
	id, _, err := g.client.PartitionLeader(g.Topic, partition)
	if err != nil {
		return -1
	}
	return id
}

func subject(partition int32) string { return strconv.Itoa(int(partition)) }
