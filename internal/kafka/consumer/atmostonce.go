package consumer

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/message"
)

// atMostOnce commits a record before its first call. A commit passes all
// records below it too, whether or not their handlers have asked for it. The
// invariant, after a stop, a rebalance or a loss of the partition:
//
//   - a record below the committed offset has its final event, or a handler
//     that has got nil from committer.beforeCall and brings it to that
//   - a handler that has got an error belongs to a record at or above the
//     committed offset, which is read again
//
// So a handler that waits when its assignment stops must get an answer that no
// later commit makes wrong. Commits that were composed before the stop are
// waited for; those after it pass no record for the sake of a handler.
type atMostOnce struct {
	asked      position // behind the highest record that asks to begin
	sent       int64    // the highest offset of a commit under way or of unknown outcome, or -1
	sentBefore int64    // what sent was before the last commit
}

func (p *atMostOnce) outlives() bool { return true }

func (p *atMostOnce) recovered(*offsets, journal.Found, bool) {}

func (p *atMostOnce) admit(*kgo.Record) (message.Progress, bool) { return message.Progress{}, false }

func (p *atMostOnce) checkpoint(journal.Key, message.Resolved) bool { return false }

func (p *atMostOnce) ask(offset int64) {
	if offset >= p.asked.offset {
		p.asked = position{offset: offset + 1, epoch: -1}
	}
}

func (p *atMostOnce) inDoubt(offset int64) bool { return p.sent > offset }

// next passes no record for the sake of a handler once the assignment stops:
// the handlers that wait get an error. If a commit for them was not answered,
// the last one takes the offset back, so that their records are read again.
func (p *atMostOnce) next(o *offsets) (position, bool) {
	pos, ok := o.tracker.committable()
	back := false
	switch {
	case o.state < stopping && p.asked.offset > pos.offset:
		pos, ok = p.asked, true
	case o.state >= stopping && p.sent > max(o.committed, pos.offset):
		pos, back = standing(o, pos), true
		ok = pos.offset >= 0
	}
	if !ok || pos.offset <= o.committed && !back {
		return position{}, false
	}
	p.sentBefore, p.sent = p.sent, max(p.sent, pos.offset)
	return pos, true
}

// standing returns the position that Kafka is known to have, or else that of
// the first record without an outcome.
func standing(o *offsets, pos position) position {
	if o.committed > pos.offset {
		pos = position{offset: o.committed, epoch: -1}
	}
	if first, _, ok := o.tracker.oldest(); ok && pos.offset < 0 {
		pos = position{offset: first, epoch: -1}
	}
	return pos
}

func (p *atMostOnce) metadata(int64) string { return "" }

func (p *atMostOnce) acknowledged(o *offsets) {
	if o.state >= stopping {
		p.sent = o.committed // nothing is in doubt any more
	}
}

func (p *atMostOnce) refused() { p.sent = p.sentBefore }
