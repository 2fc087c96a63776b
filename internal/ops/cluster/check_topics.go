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
	var names []string
	for i, t := range o.topics() {
		switch {
		case t.missing():
			names = append(names, "KAFKA_"+strings.ToUpper(o.Channel)+"_"+[]string{"REQUEST", "STATUS", "DLQ"}[i]+"_TOPIC")
			w.add(Fail, t.name+" does not exist", "")
		case t.forbidden():
			w.add(Warn, t.name+" may not be seen", "see permissions")
		case !t.exists():
			w.add(Fail, t.name+": "+t.err.Error(), seeLogs)
		}
	}
	if len(names) > 0 {
		create := o.initTopics("creates what is missing; if another name is meant, set " + strings.Join(names, ", "))
		w.Advice = slices.Insert(w.Advice, 0, create)
	}
	return w.orOK(fmt.Sprintf("%s, %s and %s exist", o.request.name, o.status.name, o.dlq.name))
}

// permissions checks the ACLs that docs/operations.md says a worker needs.
func (c *checker) permissions(ctx context.Context, o *ofChannel) Finding {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var w worst
	const grant = "grant what docs/operations.md lists to the user of these settings"
	var needs []kafka.Need
	absent := ""
	for i, need := range []kafka.Need{{Read: true}, {Read: o.Kafka.CommitOnSuccessOnly, Write: true}, {Write: true}} {
		t := o.topics()[i]
		switch need.Topic = t.name; {
		case t.exists():
			needs = append(needs, need)
		case t.forbidden():
			w.add(Fail, "topic "+t.name+": no permission, not even to see it (ACL)", grant)
		default:
			absent = ", as far as the topics exist"
		}
	}
	if len(needs) > 0 {
		denied, err := kafka.MissingTopics(ctx, c.client, needs...)
		if err != nil {
			return finding(Fail, err.Error(), Advice{Text: seeLogs})
		}
		for _, why := range denied {
			w.add(Fail, why.Error(), grant)
		}
	}
	c.groupPermission(ctx, &w, o, grant)
	for _, t := range []*topic{o.request, o.status} {
		if t.exists() && t.settingsErr != nil {
			w.add(Warn, "topic "+t.name+": no permission to DescribeConfigs (ACL)", "grant it, or nobody is warned of a status topic that forgets too soon")
		}
	}
	return w.orOK("all that a worker needs" + absent)
}

func (c *checker) groupPermission(ctx context.Context, w *worst, o *ofChannel, grant string) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{o.Kafka.Group}, true
	resp, err := req.RequestWith(ctx, c.client)
	denied := errors.Is(err, kerr.GroupAuthorizationFailed)
	if err == nil && len(resp.Groups) == 1 {
		g := resp.Groups[0]
		told := g.ErrorCode == 0 && g.AuthorizedOperations != math.MinInt32 // older brokers do not tell
		denied = g.ErrorCode == kerr.GroupAuthorizationFailed.Code || told && g.AuthorizedOperations&(1<<kmsg.ACLOperationRead) == 0
	}
	if denied { // other errors are reported by the check of the group
		w.add(Fail, "group "+o.Kafka.Group+": no permission to Read (ACL)", grant)
	}
}

func (c *checker) partitions(_ context.Context, o *ofChannel) Finding {
	if !o.request.exists() || !o.status.exists() {
		return finding(Skipped, seeTopics)
	}
	r, s := len(o.request.partitions), len(o.status.partitions)
	switch {
	case r == s:
		return finding(OK, fmt.Sprintf("%d of requests and of events", r))
	case s > r:
		seen := fmt.Sprintf("%d of requests, %d of events: the last %d of events stay empty", r, s, s-r)
		return finding(Warn, seen, Advice{Action: AddPartitions, Channel: o.Channel, Text: "give both topics the same number"})
	}
	seen := fmt.Sprintf("%d of requests, but %d of events: partitions of requests share one of events", r, s)
	return finding(Fail, seen, Advice{Action: AddPartitions, Channel: o.Channel, Partitions: r})
}

// sizes compares the topics' limits to the largest legal records. Where the
// request topic is smaller than that, no larger request can lie there.
func (c *checker) sizes(_ context.Context, o *ofChannel) Finding {
	want, advice := sizesOf(&o.Limits), o.initTopics(raisesBytes)
	var w worst
	if n, ok := o.request.amount(maxBytes); ok {
		if n < want.request {
			w.addAdvice(Warn, fmt.Sprintf("%s takes %d bytes, MSG_MAX_BYTES needs %d: larger requests are refused to their producers", o.request.name, n, want.request), advice)
		}
		want.dlq = max(usualMax, letterBytes(min(n, want.request), &o.Limits))
	}
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

// journal checks that the status topic keeps what a restart needs.
func (c *checker) journal(ctx context.Context, o *ofChannel) Finding {
	if !o.Kafka.CommitOnSuccessOnly {
		return finding(OK, "not needed with COMMIT_ON_SUCCESS_ONLY=false")
	}
	if !o.request.exists() || !o.status.exists() {
		return finding(Skipped, seeTopics)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	faults, err := kafka.JournalFaults(ctx, c.client, o.request.name, o.status.name)
	switch {
	case o.request.settingsErr != nil || o.status.settingsErr != nil:
		return finding(Skipped, "not known without DescribeConfigs on both topics")
	case err != nil:
		return finding(Fail, err.Error(), Advice{Text: seeLogs})
	case len(faults) == 0:
		return finding(OK, o.status.name+" keeps its events as long as their requests are there")
	}
	advice := []Advice{o.initTopics("raises its retention")}
	if strings.Contains(o.status.settings[cleanupPolicy], "compact") {
		advice = append(advice, Advice{Text: deletes(o.status.name)})
	}
	seen := o.status.name + ": " + strings.Join(faults, "; ") + ": a crash may send messages again"
	return finding(Fail, seen, advice...)
}
