package orders

import (
	"cmp"
	"slices"
	"strings"

	"messaging-worker/internal/models"
)

// set is orders by what they are about. Nothing of a message without an order of
// its own depends on how many others have one.
type set struct {
	scoped   map[string]*models.Order // by key
	messages map[string]*models.Order // cancels of one message, by its id
}

func newSet() *set {
	return &set{scoped: map[string]*models.Order{}, messages: map[string]*models.Order{}}
}

// cancelOf begins the keys of cancels of one message.
const cancelOf = string(models.ActionCancel) + "/message/"

// place returns where an order of that key is.
func (s *set) place(key string) (in map[string]*models.Order, name string) {
	if id, ok := strings.CutPrefix(key, cancelOf); ok {
		return s.messages, id
	}
	return s.scoped, key
}

func (s *set) get(key string) *models.Order {
	in, name := s.place(key)
	return in[name]
}

// put takes an order in the place of the one with its key, which it returns; or
// takes that one out, where the new one has ended already.
func (s *set) put(o *models.Order, ended bool) (before *models.Order) {
	in, name := s.place(o.Key())
	before = in[name]
	if ended {
		delete(in, name)
	} else {
		in[name] = o
	}
	return before
}

// remove takes out the order with a key and returns it, or nil.
func (s *set) remove(key string) *models.Order {
	in, name := s.place(key)
	before := in[name]
	delete(in, name)
	return before
}

func (s *set) each(visit func(*models.Order)) {
	for _, in := range []map[string]*models.Order{s.scoped, s.messages} {
		for _, o := range in {
			visit(o)
		}
	}
}

// changesTo returns what changes when another set takes this one's place.
func (s *set) changesTo(next *set) (changes []Change) {
	s.each(func(o *models.Order) {
		if next.get(o.Key()) == nil {
			changes = append(changes, Change{Kind: Lifted, Order: o})
		}
	})
	next.each(func(o *models.Order) {
		if before := s.get(o.Key()); before == nil || !same(before, o) {
			changes = append(changes, given(o))
		}
	})
	slices.SortFunc(changes, func(x, y Change) int { return strings.Compare(x.Order.Key(), y.Order.Key()) })
	return changes
}

// same reports whether two orders of one key say the same.
func same(a, b *models.Order) bool {
	return a.PerSecond == b.PerSecond && a.Until.Equal(b.Until) && a.Reason == b.Reason && a.By == b.By && a.At.Equal(b.At)
}

// standing returns how a message stands: nil, ErrPaused, or a *Canceled of the
// order about it alone, or else of the first that was given.
func (s *set) standing(m *Message) error {
	cancel, paused := s.messages[m.ID], false
	if cancel != nil {
		return &Canceled{cancel.Reason}
	}
	for _, o := range s.scoped {
		switch {
		case o.Action == models.ActionRate || !isOf(o, m):
		case o.Action == models.ActionPause:
			paused = true
		case cancel == nil || cmp.Or(o.At.Compare(cancel.At), strings.Compare(o.Key(), cancel.Key())) < 0:
			cancel = o
		}
	}
	if cancel != nil {
		return &Canceled{cancel.Reason}
	}
	if paused {
		return ErrPaused
	}
	return nil
}

// isOf reports whether a message is of an order's scope, which is of the
// message's channel.
func isOf(o *models.Order, m *Message) bool {
	if o.Lane != "" && o.Lane != m.Lane || o.Tenant != "" && o.Tenant != m.Tenant || o.Provider != "" && o.Provider != m.Provider {
		return false
	}
	for key, want := range o.Meta {
		if value, ok := m.Meta[key]; !ok || value != want {
			return false
		}
	}
	return true
}
