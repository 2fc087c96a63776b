package consumer

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	testkafka "messaging-worker/test/kafka"
)

// share is what an observer was told.
type share struct{ owned, total int }

// sharesOf is an observer that looks at shares alone.
type sharesOf struct {
	nothing

	told chan share
}

func (o sharesOf) Share(owned, total int) { o.told <- share{owned, total} }

// waitShare waits until the share is told.
func (o sharesOf) waitShare(t *testing.T, want share) {
	t.Helper()
	for wait(t, o.told, "a share") != want {
	}
}

func observed(s *scene) (*member, sharesOf) {
	o := sharesOf{told: make(chan share, 1e3)}
	return s.join(func(options *Options) { options.Observer = o }), o
}

// A worker's share is told before it is assigned anything, and of a topic that
// does not exist: else a lane without a topic would hold up the others. One that
// appears counts before it is read.
func TestShareOfATopicThatAppears(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(4, "status"))
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s := &scene{t, cluster, client}
	var joining atomic.Bool
	cluster.ControlKey(kmsg.JoinGroup.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp, _ := r.ResponseKind().(*kmsg.JoinGroupResponse)
		resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		return resp, nil, !joining.Load()
	})
	m, shares := observed(s)
	if got := wait(t, shares.told, "the first share"); got != (share{}) {
		t.Errorf("the first share without a topic is %v, want none of none", got)
	}
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 4, 1, nil, "request"); err != nil {
		t.Fatal(err)
	}
	shares.waitShare(t, share{0, 4})
	joining.Store(true)
	shares.waitShare(t, share{4, 4})
	s.put(1, "send")
	wait(t, m.done, "the request")

	other, others := observed(s)
	if got := wait(t, others.told, "the other's first share"); got != (share{0, 4}) {
		t.Errorf("the first share of a worker that joins is %v, want none of 4", got)
	}
	shares.waitShare(t, share{2, 4})
	others.waitShare(t, share{2, 4})
	other.stop()
	shares.waitShare(t, share{4, 4})
	m.stop()
}
