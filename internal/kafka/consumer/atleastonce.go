package consumer

import (
	"maps"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/message"
)

// atLeastOnce commits records that have their outcome. It learns from the
// journal what earlier owners did, and stores with each commit where the next
// owner is to begin reading the journal.
type atLeastOnce struct {
	events  Journal
	tally   *tally
	rewound bool // Kafka may have a higher commit than the assignment began at

	fold    *journal.Fold     // what earlier owners did; nil once all of it was read again
	notes   *journal.Notes    // nil until the journal is read
	from    journal.Position  // where its reading began
	before  *journal.Position // see journal.Found
	highest int64             // request that the journal had, or -1

	checkpoints journal.Checkpoints // of rounds of calls that have not ended
	version     int                 // counts their changes
	sent        int                 // the version in the last commit
	stored      int                 // the version that Kafka has acknowledged
}

func (p *atLeastOnce) outlives() bool { return false }

// recovered lets the offset start where the journal does. Where no worker has
// committed that, it is committed at once.
func (p *atLeastOnce) recovered(o *offsets, f journal.Found, committed bool) {
	p.fold, p.from, p.before, p.highest = f.Fold, f.From, f.Before, f.Fold.Highest()
	p.notes = journal.NewNotes(f.Start, f.From.Offset, p.highest)
	if f.Checkpoints != nil {
		p.checkpoints = f.Checkpoints
	}
	maps.DeleteFunc(p.checkpoints, func(k journal.Key, _ message.Resolved) bool { return k.Offset < f.Start })
	o.tracker.next = position{offset: f.Start, epoch: -1}
	if committed && !p.rewound {
		o.committed = f.Start
	}
}

func (p *atLeastOnce) admit(r *kgo.Record) (progress message.Progress, finished bool) {
	if p.notes != nil {
		p.notes.Admitted(r.Offset, p.events.Acked(p.from.Partition)+1)
	}
	if p.fold == nil {
		return progress, false
	}
	key := journal.Key{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli()}
	if progress, finished = p.fold.Look(key); finished {
		delete(p.checkpoints, key)
		p.tally.finished.Add(1)
		return progress, true
	}
	progress.Checkpoint(p.checkpoints[key])
	if progress.Queued() {
		p.tally.resumed.Add(1)
	} else {
		p.tally.new.Add(1)
	}
	if r.Offset >= p.fold.Highest() {
		p.fold = nil // the journal has no later request
	}
	return progress, false
}

func (p *atLeastOnce) checkpoint(k journal.Key, r message.Resolved) bool {
	if r.Len() == 0 {
		delete(p.checkpoints, k)
		return false
	}
	p.checkpoints[k] = r
	p.version++
	return true
}

func (p *atLeastOnce) ask(int64) {}

func (p *atLeastOnce) inDoubt(int64) bool { return false }

func (p *atLeastOnce) next(o *offsets) (position, bool) {
	p.sent = p.version
	pos, ok := o.tracker.committable()
	return pos, ok && (pos.offset > o.committed || p.version != p.stored)
}

// metadata says where to read the journal from, and has the checkpoints.
func (p *atLeastOnce) metadata(offset int64) string {
	if p.notes == nil {
		return ""
	}
	c := journal.Commit{Position: p.from, Checkpoints: p.checkpoints}
	c.Position.Offset = p.notes.At(offset)
	if p.before != nil && offset <= p.highest {
		c.Position = *p.before // the present partition is found by time
	}
	return c.String()
}

func (p *atLeastOnce) acknowledged(*offsets) { p.stored = p.sent }

func (p *atLeastOnce) refused() {}
