package chaos_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// incident is a workload whose workers are killed again and again while an
// operator gives orders about it.
type incident struct {
	killing

	s       *stage.Stage
	tenants map[string]string // by message id
	cancels []models.Order    // that are to be given
}

// The tenants of an incident. Those of the first kind are paused now and then,
// those of the second are canceled at some moment. One is paused from before the
// first worker on until the last works, and one has only orders about single
// messages of it. The others have nothing to do with any order.
const (
	pausedTenant, canceledTenant = "paused-", "canceled-"
	heldTenant, pickedTenant     = "held", "picked"
)

// isCanceled reports whether a message is one that an order cancels.
func (i *incident) isCanceled(id string) bool {
	tenant := i.tenants[id]
	return strings.HasPrefix(tenant, canceledTenant) || tenant == pickedTenant
}

// fill puts the messages into all lanes in turn.
func (i *incident) fill(n int) requests {
	ids := requests{}
	var records []*kgo.Record
	for k := range n {
		tenant := "free"
		switch k % 20 {
		case 0, 7, 13, 14:
			tenant = pausedTenant + strconv.Itoa(k/20%4)
		case 1, 5, 11, 16:
			tenant = canceledTenant + strconv.Itoa(k/20%8)
		case 3, 9:
			tenant = pickedTenant
		case 18:
			tenant = heldTenant
		default:
			i.messages++ // that are certain to be called
		}
		r := i.request(tenant, k)
		r.Topic = i.s.TopicInTurn(k)
		records = append(records, r)
		ids[string(r.Key)]++
		if tenant == pickedTenant {
			i.cancels = append(i.cancels, models.Order{Action: models.ActionCancel, MessageID: string(r.Key)})
		}
	}
	for n := range 8 {
		i.cancels = append(i.cancels, models.Order{Action: models.ActionCancel, Tenant: canceledTenant + strconv.Itoa(n)})
	}
	i.s.Produce(records...)
	return ids
}

// request is one of two recipients, the second of whom fails for a while in one of
// four.
func (i *incident) request(tenant string, k int) *kgo.Record {
	id, edits := stage.NewID(), map[string]any{}
	if k%4 == 0 {
		edits = stage.Hints("scenario", "transient", "scenario_failures", "3", "scenario_recipients", "1")
	}
	edits["to"], edits["tenant_id"] = []string{"+15550000001", "+15550000002"}, tenant
	i.tenants[id] = tenant
	return &kgo.Record{Key: []byte(id), Value: stage.Request(i.s.Channel, id, edits)}
}

func (i *incident) paused() []models.Order {
	var list []models.Order
	for n := range 4 {
		list = append(list, models.Order{Action: models.ActionPause, Tenant: pausedTenant + strconv.Itoa(n)})
	}
	return list
}

// cancel gives the next n of the cancels.
func (i *incident) cancel(n int) {
	for _, order := range i.cancels[:n] {
		i.s.Give(order, time.Hour)
	}
	i.cancels = i.cancels[n:]
}

// comeLate puts n messages that were canceled before, and returns their ids.
func (i *incident) comeLate(n int) map[string]bool {
	ids := map[string]bool{}
	for k := range n {
		tenant := canceledTenant + strconv.Itoa(k%8)
		if k%2 == 0 {
			tenant = pickedTenant
		}
		r := i.request(tenant, k)
		if k%2 == 0 {
			i.s.Give(models.Order{Action: models.ActionCancel, MessageID: string(r.Key)}, time.Hour)
		}
		r.Topic = i.s.TopicInTurn(k)
		i.s.Produce(r)
		ids[string(r.Key)] = true
	}
	return ids
}

// checkCalls reports calls that an order forbade to a worker from its start on:
// all those of the tenant that was held until then, and after line last, which was
// made by a worker that started after the last cancel, those that are canceled.
func (i *incident) checkCalls(t *testing.T, list []accepted, last int, lifted time.Time) {
	t.Helper()
	for n, a := range list {
		if i.tenants[a.id] == heldTenant && a.at.Before(lifted) {
			t.Errorf("%s was called though it was paused", a.id)
		}
		if i.isCanceled(a.id) && n >= last {
			t.Errorf("%s was called though it was canceled before its worker started", a.id)
		}
	}
}

// takeCanceled takes the ids of messages that were canceled out of the requests,
// and checks these.
func (i *incident) takeCanceled(t *testing.T, list []accepted, ids requests, lives []life) {
	t.Helper()
	calls, canceled, called := map[string][]int{}, 0, 0
	for n, a := range list {
		calls[a.id] = append(calls[a.id], n)
	}
	for id, events := range i.s.SoFar() {
		at := slices.IndexFunc(events, func(e stage.Event) bool { return e.EventType == models.EventCanceled })
		if at < 0 {
			continue
		}
		canceled++
		called += min(1, len(calls[id]))
		delete(ids, id)
		if wrong := i.checkCanceled(events, at, list, calls[id], lives); len(wrong) > 0 {
			t.Errorf("%s of %s: %s: %s", id, i.tenants[id], strings.Join(wrong, ", "), stage.Sequence(events))
		}
	}
	t.Logf("%d messages canceled, %d of them after a call", canceled, called)
	if called == 0 {
		t.Error("nothing was canceled after a call")
	}
}

// checkCanceled returns what is wrong with a message, event number at of which
// says that it was canceled. Calls are its lines in the ledger.
func (i *incident) checkCanceled(events []stage.Event, at int, list []accepted, calls []int, lives []life) (wrong []string) {
	end := events[at]
	if !i.isCanceled(end.MessageID) {
		wrong = append(wrong, "nobody ordered that")
	}
	if end.Error != "canceled: a test" {
		wrong = append(wrong, "its error is "+end.Error)
	}
	for n, e := range events {
		if n != at && e.Final() {
			wrong = append(wrong, "it ends as "+string(e.EventType)+" too")
		}
	}
	known := map[string]bool{}
	if end.ProviderResponse != nil {
		for recipient := range strings.SplitSeq(end.ProviderResponse.Meta[models.MetaAcceptedRecipients], ",") {
			known[recipient] = recipient != ""
		}
	}
	for _, n := range calls {
		a := list[n]
		by := slices.IndexFunc(lives, func(l life) bool { return n < l.lines }) // whose call it was
		switch {
		case a.at.After(end.Timestamp):
			wrong = append(wrong, fmt.Sprintf("recipient %d was called after it", a.recipient))
		case known[strconv.Itoa(a.recipient)]:
		case by == len(lives)-1 || end.Timestamp.Before(lives[by+1].started):
			wrong = append(wrong, fmt.Sprintf("it does not know that recipient %d was reached, and no kill came between", a.recipient))
		}
		delete(known, strconv.Itoa(a.recipient))
	}
	for recipient, accepted := range known {
		if accepted {
			wrong = append(wrong, "recipient "+recipient+" was not reached, it says so")
		}
	}
	return wrong
}
