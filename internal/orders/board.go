// Package orders tells what operators want of messages at present: which are
// paused, which are canceled, and how fast a provider may be called.
package orders

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"messaging-worker/internal/models"
)

// Kind is what has become of an order.
type Kind string

// The kinds of a Change.
const (
	Given   Kind = "given" // it is in force now, be it in the place of an earlier one
	Lifted  Kind = "lifted"
	Expired Kind = "expired"
)

// Change is what has become of one order.
type Change struct {
	Kind  Kind
	Order *models.Order

	By, Reason string // who gave or lifted it and why, where that is known
}

// Board holds the orders in force of one channel, and watches the messages that
// they are about. It is safe for concurrent use. A nil Board has no orders.
//
// An order is in force from when its record is applied until another with its key
// is, or until its time has come by this process's clock.
type Board struct {
	channel  models.Channel
	onChange func([]Change)

	mu      sync.Mutex
	orders  *set
	reread  *set                // what a reading that is not complete has found; nil for none
	watches map[string][]*Watch // of messages at work, by message id
	expiry  expiry
}

// New makes a Board without orders. OnChange, where it is not nil, is called after
// each change, by several at once where they come from records and from time.
func New(channel models.Channel, onChange func([]Change)) *Board {
	if onChange == nil {
		onChange = func([]Change) {}
	}
	return &Board{channel: channel, onChange: onChange, orders: newSet(), watches: map[string][]*Watch{}}
}

// Reread says that what is applied from now on takes the place of all orders once
// Complete is called. Until then these hold.
func (b *Board) Reread() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reread = newSet()
}

// Apply takes a record of the control topic; of its headers, where it lifts an
// order, who did that and why. Its error says why it cannot be read; then it
// changes nothing.
func (b *Board) Apply(key, value []byte, headers ...models.Header) error {
	if value == nil {
		lift, err := models.DecodeLift(key, headers)
		if err == nil {
			b.lift(lift)
		}
		return err //nolint:wrapcheck // it says what was done
	}
	order, err := models.DecodeOrder(key, value)
	if err != nil {
		return err //nolint:wrapcheck // it says what was done
	}
	if order.MessageID != "" || order.Channel == b.channel {
		b.give(order)
	}
	return nil
}

func (b *Board) give(order *models.Order) {
	b.mu.Lock()
	ended := !order.Until.After(time.Now())
	if b.reread != nil {
		b.reread.put(order, ended)
		b.mu.Unlock()
		return
	}
	before := b.orders.put(order, ended)
	var changes []Change
	switch {
	case !ended:
		changes = []Change{given(order)}
		b.expireAt(order)
	case before != nil:
		changes = []Change{{Kind: Expired, Order: before}}
	}
	b.update(order)
	b.mu.Unlock()
	b.changed(changes)
}

func given(o *models.Order) Change { return Change{Given, o, o.By, o.Reason} }

// lift ends the order with that key, where there is one.
func (b *Board) lift(lift *models.Lift) {
	b.mu.Lock()
	if b.reread != nil {
		b.reread.remove(lift.Key())
		b.mu.Unlock()
		return
	}
	before := b.orders.remove(lift.Key())
	var changes []Change
	if before != nil {
		changes = []Change{{Lifted, before, lift.By, lift.Reason}}
		b.update(before)
	}
	b.mu.Unlock()
	b.changed(changes)
}

// Complete ends what Reread began.
func (b *Board) Complete() {
	b.mu.Lock()
	if b.reread == nil {
		b.mu.Unlock()
		return
	}
	changes := b.orders.changesTo(b.reread)
	b.orders, b.reread = b.reread, nil
	b.expiry.clear()
	b.orders.each(b.expireAt)
	for _, same := range b.watches {
		for _, w := range same {
			w.set(b.orders.standing(&w.message))
		}
	}
	b.mu.Unlock()
	b.changed(changes)
}

// changed is called without b.mu.
func (b *Board) changed(changes []Change) {
	if len(changes) > 0 {
		b.onChange(changes)
	}
}

// update tells the messages of an order's scope how they stand now. It is called
// with b.mu held.
func (b *Board) update(o *models.Order) {
	if o.MessageID != "" {
		for _, w := range b.watches[o.MessageID] {
			w.set(b.orders.standing(&w.message))
		}
		return
	}
	if o.Action == models.ActionRate {
		return
	}
	for _, same := range b.watches {
		for _, w := range same {
			if isOf(o, &w.message) {
				w.set(b.orders.standing(&w.message))
			}
		}
	}
}

// InForce returns the orders in force, those about single messages last and the
// latest of them first, and of these at most so many.
func (b *Board) InForce(messages int) []*models.Order {
	b.mu.Lock()
	scoped, single := slices.Collect(maps.Values(b.orders.scoped)), slices.Collect(maps.Values(b.orders.messages))
	b.mu.Unlock()
	slices.SortFunc(scoped, func(x, y *models.Order) int { return strings.Compare(x.Key(), y.Key()) })
	slices.SortFunc(single, func(x, y *models.Order) int {
		return cmp.Or(y.At.Compare(x.At), strings.Compare(x.MessageID, y.MessageID))
	})
	return append(scoped, single[:min(len(single), messages)]...)
}

// Paused returns how many orders in force pause something of the channel.
func (b *Board) Paused() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.orders.scoped {
		if o.Action == models.ActionPause {
			n++
		}
	}
	return n
}

// Watching returns how many messages are watched.
func (b *Board) Watching() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, same := range b.watches {
		n += len(same)
	}
	return n
}

// GroupRate returns how many calls of a provider all workers together may start a
// second by order, and false where none is in force. An order for the provider
// wins over one for the channel.
func (b *Board) GroupRate(provider string) (perSecond float64, ordered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range []*models.Order{
		{Action: models.ActionRate, Channel: b.channel, Provider: provider}, {Action: models.ActionRate, Channel: b.channel},
	} {
		if o = b.orders.scoped[o.Key()]; o != nil {
			return o.PerSecond, true
		}
	}
	return 0, false
}
