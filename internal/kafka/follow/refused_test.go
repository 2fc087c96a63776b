package follow_test

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	testkafka "messaging-worker/test/kafka"
)

// What may not be read any more, or is lost by the brokers, is read again from
// its beginning as soon as it can be.
func TestReadAgainAfterAFault(t *testing.T) {
	t.Parallel()
	for _, fault := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.OffsetOutOfRange} {
		t.Run(fault.Message, func(t *testing.T) {
			t.Parallel()
			cluster := testkafka.Embedded(t, kfake.SeedTopics(1, "orders"))
			s := newScene(t, cluster.ListenAddrs(), "orders")
			s.put(s.client, "a=1")
			s.follow().holds("a=1")
			var refuse atomic.Bool
			refuse.Store(true)
			cluster.ControlKey(kmsg.Fetch.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
				if !refuse.Load() {
					return nil, nil, false
				}
				cluster.KeepControl()
				return refused(request.(*kmsg.FetchRequest), fault), nil, true
			})
			s.put(s.client, "a=2", "b=2")
			s.fails(fault.Message)
			if !s.table.holds(map[string]string{"a": "1"}) {
				t.Errorf("while the topic cannot be read %v is known, want what was", s.table.known)
			}
			refuse.Store(false)
			s.holds("a=2", "b=2")
		})
	}
}

// refused answers a fetch of one partition with an error.
func refused(request *kmsg.FetchRequest, fault *kerr.Error) *kmsg.FetchResponse {
	resp := request.ResponseKind().(*kmsg.FetchResponse)
	if len(request.Topics) == 0 {
		return resp
	}
	topic, p := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	topic.Topic, topic.TopicID, p.ErrorCode = request.Topics[0].Topic, request.Topics[0].TopicID, fault.Code
	topic.Partitions = append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	return resp
}
