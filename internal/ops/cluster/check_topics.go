package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
)

// initTopics advises Init for the channel. Does says what Init does about it.
func (o *ofChannel) initTopics(does string) Advice {
	return Advice{Action: InitTopics, Channel: o.Channel, Text: does}
}

// Texts that several checks share.
const (
	seeLogs   = "see the brokers' logs"
	seeTopics = "a topic is missing or may not be seen"

	raisesBytes = "raises max.message.bytes"
)

func (c *checker) existence(_ context.Context, o *ofChannel) Finding {
	var w worst
	var missing, seen []string
	prefix := "KAFKA_" + strings.ToUpper(o.Channel) + "_"
	requests := func(l ofLane) string { return prefix + "REQUEST_TOPIC" + strings.ToUpper(l.named("_")) }
	look := func(t *topic, variable string) {
		seen = append(seen, t.name)
		switch {
		case t.missing():
			missing = append(missing, variable)
			w.add(Fail, t.name+" does not exist", "")
		case t.forbidden():
			w.add(Warn, t.name+" may not be seen", "see permissions")
		case !t.exists():
			w.add(Fail, t.name+": "+t.err.Error(), seeLogs)
		}
	}
	for _, l := range o.lanes {
		look(l.request, requests(l))
	}
	for _, l := range o.unread {
		w.add(Warn, l.request.name+" exists, and "+requests(l)+" is not set: workers of these settings do not read it", "set it for the workers, or delete the topic")
	}
	look(o.status, prefix+"STATUS_TOPIC")
	look(o.dlq, prefix+"DLQ_TOPIC")
	if len(missing) > 0 {
		create := o.initTopics("creates what is missing; if another name is meant, set " + strings.Join(missing, ", "))
		w.Advice = slices.Insert(w.Advice, 0, create)
	}
	last := len(seen) - 1
	return w.orOK(strings.Join(seen[:last], ", ") + " and " + seen[last] + " exist")
}

// grantThem is the advice for permissions that are missing.
const grantThem = "grant what docs/operations.md lists to the user of these settings"

// permissions checks the ACLs that docs/operations.md says a worker needs.
func (c *checker) permissions(ctx context.Context, o *ofChannel) Finding {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var w worst
	var needs []kafka.Need
	absent := ""
	need := func(t *topic, read, write bool) {
		switch {
		case t.exists():
			needs = append(needs, kafka.Need{Topic: t.name, Read: read, Write: write})
		case t.forbidden():
			w.add(Fail, "topic "+t.name+": no permission, not even to see it (ACL)", grantThem)
		default:
			absent = ", as far as the topics exist"
		}
	}
	for _, t := range o.requests() {
		need(t, true, false)
	}
	need(o.status, o.Kafka.CommitOnSuccessOnly, true)
	need(o.dlq, false, true)
	if len(needs) > 0 {
		denied, err := kafka.MissingTopics(ctx, c.client, needs...)
		if err != nil {
			return finding(Fail, err.Error(), Advice{Text: seeLogs})
		}
		for _, why := range denied {
			w.add(Fail, why.Error(), grantThem)
		}
	}
	for _, l := range o.lanes {
		c.groupPermission(ctx, &w, l.Kafka.Group)
	}
	for _, t := range append(o.requests(), o.status) {
		if t.exists() && t.settingsErr != nil {
			w.add(Warn, "topic "+t.name+": no permission to DescribeConfigs (ACL)", "grant it, or nobody is warned of a status topic that forgets too soon")
		}
	}
	return w.orOK("all that a worker needs" + absent)
}

func (c *checker) groupPermission(ctx context.Context, w *worst, group string) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{group}, true
	resp, err := req.RequestWith(ctx, c.client)
	denied := errors.Is(err, kerr.GroupAuthorizationFailed)
	if err == nil && len(resp.Groups) == 1 {
		g := resp.Groups[0]
		told := g.ErrorCode == 0 && g.AuthorizedOperations != math.MinInt32 // older brokers do not tell
		denied = g.ErrorCode == kerr.GroupAuthorizationFailed.Code || told && g.AuthorizedOperations&(1<<kmsg.ACLOperationRead) == 0
	}
	if denied { // other errors are reported by the check of the group
		w.add(Fail, "group "+group+": no permission to Read (ACL)", grantThem)
	}
}

func (c *checker) partitions(_ context.Context, o *ofChannel) Finding {
	if !o.journalThere() {
		return finding(Skipped, seeTopics)
	}
	requests, r := o.requestPartitions()
	s := len(o.status.partitions)
	switch {
	case r == s && requests == fmt.Sprint(s, " of requests"):
		return finding(OK, requests+" and of events")
	case r == s:
		return finding(OK, fmt.Sprintf("%s, %d of events", requests, s))
	case s > r:
		seen := fmt.Sprintf("%s, %d of events: the last %d of events stay empty", requests, s, s-r)
		both := "both topics"
		if len(o.lanes) > 1 {
			both = "the topics"
		}
		return finding(Warn, seen, Advice{Action: AddPartitions, Channel: o.Channel, Text: "give " + both + " the same number"})
	}
	seen := fmt.Sprintf("%s, but %d of events: partitions of requests share one of events", requests, s)
	return finding(Fail, seen, Advice{Action: AddPartitions, Channel: o.Channel, Partitions: r})
}

// requestPartitions tells how many partitions the request topics have, and the
// most that one has.
func (o *ofChannel) requestPartitions() (text string, most int) {
	var each []string
	equal := true
	for _, l := range o.lanes {
		n := len(l.request.partitions)
		equal = equal && (most == 0 || n == most)
		most = max(most, n)
		each = append(each, fmt.Sprint(n, " of ", l.Lane))
	}
	if equal {
		return fmt.Sprint(most, " of requests"), most
	}
	return strings.Join(each, ", ") + " requests", most
}

// sizes compares the topics' limits to the largest legal records. Where a
// request topic is smaller than that, no larger request can lie there.
func (c *checker) sizes(_ context.Context, o *ofChannel) Finding {
	want, advice := sizesOf(&o.Limits), o.initTopics(raisesBytes)
	var w worst
	largest := int64(0) // request that can lie in a topic
	for _, t := range o.requests() {
		n, ok := t.amount(maxBytes)
		if ok && n < want.request {
			w.addAdvice(Warn, fmt.Sprintf("%s takes %d bytes, MSG_MAX_BYTES needs %d: larger requests are refused to their producers", t.name, n, want.request), advice)
		}
		if !ok {
			n = want.request
		}
		largest = max(largest, min(n, want.request))
	}
	want.dlq = max(usualMax, letterBytes(largest, &o.Limits))
	if n, ok := o.status.amount(maxBytes); ok && n < statusBytes(&o.Limits) {
		w.addAdvice(Fail, fmt.Sprintf("%s takes %d bytes, an event may have %d: one that does not fit holds its message up", o.status.name, n, statusBytes(&o.Limits)), advice)
	}
	if n, ok := o.dlq.amount(maxBytes); ok && n < want.dlq {
		w.addAdvice(Fail, fmt.Sprintf("%s takes %d bytes, the dead letter of the largest request has %d: larger ones are written without their original", o.dlq.name, n, want.dlq), advice)
	}
	if w.Verdict != "" {
		return w.Finding
	}
	for _, t := range o.topics() {
		switch {
		case !t.exists():
			return finding(Skipped, seeTopics)
		case t.settingsErr != nil:
			return finding(Skipped, "not known without DescribeConfigs on "+t.name)
		}
	}
	return finding(OK, "fit for MSG_MAX_BYTES="+strconv.Itoa(o.Limits.MessageBytes))
}
