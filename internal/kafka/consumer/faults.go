package consumer

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
)

// faults are the errors of reading requests that stand. Each stands until a
// success disproves it, and no longer: records of its partition, or a fetch
// that brings none and no error either.
//
// The client does not tell of an empty fetch, but of each answer, and asks a
// broker again when what the answer before has brought was taken, be it records
// or an error. While an error stands, at most two answers come between two times
// that it is noted: the next one that has it, and, in the moment between its
// being taken and being noted, one more. A third proves that one of them had no
// error.
type faults struct {
	logged kafka.ErrorLog

	mu sync.Mutex
	of map[int32]*fault // by partition; those below zero are the topic's as a whole
}

const answersThatProve = 3

type fault struct {
	err     error
	answers int // of fetches of its leader since it was noted
}

// note keeps an error, and reports whether it is to be logged.
func (f *faults) note(partition int32, err error) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[int32]*fault{}
	}
	f.of[partition] = &fault{err: err}
	return f.logged.Changed(subject(partition), err)
}

// over ends the error of a partition, and that of the topic as a whole.
func (f *faults) over(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.of {
		if p == partition || p < 0 {
			f.end(p)
		}
	}
}

// end is called with f.mu held.
func (f *faults) end(partition int32) {
	delete(f.of, partition)
	f.logged.Changed(subject(partition), nil)
}

// answered counts an answered fetch of a broker.
func (f *faults) answered(broker int32, leader func(partition int32) int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, one := range f.of {
		if p >= 0 && leader(p) != broker {
			continue
		}
		if one.answers++; one.answers >= answersThatProve {
			f.end(p)
		}
	}
}

// standing returns the errors that stand, each once, or nil.
func (f *faults) standing() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []error
	for _, p := range slices.Sorted(maps.Keys(f.of)) {
		err := f.of[p].err
		if !slices.ContainsFunc(list, func(e error) bool { return kafka.SameFault(e.Error(), err.Error()) }) {
			list = append(list, err)
		}
	}
	return errors.Join(list...)
}

// fetchAnswers is called for each answered fetch, with the broker's id.
type fetchAnswers func(broker int32)

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (f fetchAnswers) OnBrokerE2E(meta kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == kmsg.Fetch.Int16() && e2e.Err() == nil {
		f(meta.NodeID)
	}
}

var _ kgo.HookBrokerE2E = fetchAnswers(nil)

func subject(partition int32) string { return strconv.Itoa(int(partition)) }
