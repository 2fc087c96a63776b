package consumer

import (
	"errors"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// errForgotten ends the group session of a member that joined as a new one.
var errForgotten = errors.New("the consumer group had removed this member; it joins as a new one")

// balancer is the group's, and has a member that the group has removed lose its
// partitions.
//
// A member that is removed hears of it at its next heartbeat, and the client ends
// its session: the partitions are lost. But if the member was about to rejoin, as
// one that was suspended in the middle of a rebalance, it hears of it by the
// answer to its JoinGroup request. Then the client joins as a new member and keeps
// the partitions that the new assignment has too, though other members may have
// had them meanwhile: calls would be made twice. So they are lost as soon as the
// client asks to join without a member id, and at the new assignment the session
// ends with an error, upon which the client asks for all of its partitions anew.
type balancer struct {
	kgo.GroupBalancer

	group     *group
	forgotten atomic.Bool
}

// JoinGroupMetadata implements kgo.GroupBalancer. The client calls it for each
// JoinGroup request that it makes.
func (b *balancer) JoinGroupMetadata(topics []string, owned map[string][]int32, generation int32) []byte {
	if len(owned) > 0 {
		<-b.group.started
		if id, _ := b.group.client.GroupMetadata(); id == "" {
			b.group.lost(owned[b.group.Topic])
			b.forgotten.Store(true)
		}
	}
	if b.forgotten.Load() {
		owned = nil
	}
	return b.GroupBalancer.JoinGroupMetadata(topics, owned, generation)
}

// ParseSyncAssignment implements kgo.GroupBalancer.
func (b *balancer) ParseSyncAssignment(assignment []byte) (map[string][]int32, error) {
	if b.forgotten.Swap(false) {
		return nil, errForgotten
	}
	return b.GroupBalancer.ParseSyncAssignment(assignment) //nolint:wrapcheck // it is the client's own
}
