package scan

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// aborted says which batches of one fetch response were rolled back. hides must
// be called for each batch of the response, in order.
//
// A producer's records are rolled back from where the answer says that such a
// transaction of it begins to its next marker that ends one so (KIP-98; as
// Kafka's own CompletedFetch has it).
type aborted struct {
	begins    []kmsg.FetchResponseTopicPartitionAbortedTransaction // not begun yet, ascending
	producers map[int64]bool                                       // in such a transaction now
}

func newAborted(list []kmsg.FetchResponseTopicPartitionAbortedTransaction) *aborted {
	// Brokers need not sort them.
	slices.SortFunc(list, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	return &aborted{list, map[int64]bool{}}
}

// hides reports whether a batch holds nothing for a reader of committed
// records: it is a marker, or was rolled back.
func (a *aborted) hides(b *batch) bool {
	for len(a.begins) > 0 && a.begins[0].FirstOffset <= b.last() {
		a.producers[a.begins[0].ProducerID] = true
		a.begins = a.begins[1:]
	}
	if !b.control() {
		return b.transactional() && a.producers[b.ProducerID]
	}
	if b.endsByAbort() {
		delete(a.producers, b.ProducerID)
	}
	return true
}

// endsByAbort reports whether a control batch ends a transaction by rolling it
// back. The key of its one record is a version and a type, int16 each: type 0
// does, 1 commits, and others end nothing. One that was emptied by compaction
// ends nothing any more: what it ended is gone as well.
func (b *batch) endsByAbort() bool {
	records := kbin.Reader{Src: b.Records}
	key, _, _ := keyOf(records.VarintBytes())
	return len(key) >= 4 && binary.BigEndian.Uint16(key[2:]) == 0
}
