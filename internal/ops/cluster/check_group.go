package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
)

// replication asks whether the loss of a broker would stop or lose anything.
func (c *checker) replication(_ context.Context, o *ofChannel) Finding {
	var w worst
	least := 0
	for _, t := range o.topics() {
		if !t.exists() {
			return finding(Skipped, seeTopics)
		}
		if n := t.replication(); least == 0 || n < least {
			least = n
		}
		c.replicas(&w, &o.Kafka.Topic, t)
	}
	if least == 1 {
		return w.orOK("one copy on the only broker: enough to develop, not to keep")
	}
	return w.orOK(fmt.Sprintf("%d copies at least, all in sync", least))
}

// replicas looks at one topic.
func (c *checker) replicas(w *worst, want *config.Topic, t *topic) {
	isr, known := t.amount(minISR)
	if n := t.replication(); n == 1 && c.brokers > 1 {
		w.add(Warn, t.name+" has one copy: the loss of its broker loses messages", "add replicas with kafka-reassign-partitions.sh; for new topics set KAFKA_TOPIC_REPLICATION")
	} else if n < want.Replication {
		w.add(Warn, fmt.Sprintf("%s has %s, KAFKA_TOPIC_REPLICATION is %d", t.name, copies(n), want.Replication), "add replicas with kafka-reassign-partitions.sh")
	}
	if known && isr > int64(t.replication()) {
		w.add(Fail, fmt.Sprintf("%s has %s and min.insync.replicas=%d: no more can be in sync than there are, and brokers of older versions take no record then", t.name, copies(t.replication()), isr),
			"lower min.insync.replicas with kafka-configs.sh, or add replicas")
		return
	}
	dead, short, behind := 0, 0, 0
	for _, p := range t.partitions {
		switch {
		case p.Leader < 0:
			dead++
		case known && int64(len(p.ISR)) < isr:
			short++
		case len(p.ISR) < len(p.Replicas):
			behind++
		}
	}
	tell := func(n int, v Verdict, text string) {
		if n > 0 {
			w.add(v, fmt.Sprintf("%s has %s %s", t.name, plural(n, "partition"), text), "bring back the brokers that are away")
		}
	}
	tell(dead, Fail, "without a leader: they can be neither read nor written")
	tell(short, Fail, "with fewer replicas in sync than min.insync.replicas: they cannot be written")
	tell(behind, Warn, "with replicas that are not in sync")
}

func copies(n int) string {
	if n == 1 {
		return "one copy"
	}
	return fmt.Sprint(n, " copies")
}

// group reports the state of a lane's group, its members and its lag.
func (c *checker) group(ctx context.Context, l *ofLane) Finding {
	name := l.Kafka.Group
	g, err := c.describe(ctx, name)
	switch {
	case errors.Is(err, kerr.GroupIDNotFound):
		g.State = "Dead"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return finding(Skipped, "may not be seen, see permissions")
	case err != nil:
		return finding(Fail, "group "+name+": "+err.Error(), Advice{Text: seeLogs})
	case g.ProtocolType != "" && g.ProtocolType != "consumer":
		seen := fmt.Sprintf("group %s is used by something else (%s)", name, g.ProtocolType)
		return finding(Fail, seen, Advice{Text: "set another " + strings.ToUpper(l.Channel) + "_CONSUMER_GROUP"})
	}
	if !l.request.exists() {
		return finding(Skipped, seeTopics)
	}
	behind, err := c.lag(ctx, l)
	if err != nil {
		return finding(Warn, fmt.Sprintf("%s is %s; how much waits is not known: %v", name, g.State, err), Advice{Text: "see permissions"})
	}
	return groupFinding(name, g, behind)
}

// describe asks for a group. In a new cluster the brokers make the topic of
// offsets when they are first asked, and have no coordinator until it is there.
func (c *checker) describe(ctx context.Context, name string) (kadm.DescribedGroup, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for {
		groups, err := c.admin.DescribeGroups(ctx, name)
		if err == nil {
			err = groups[name].Err
		}
		if !errors.Is(err, kerr.CoordinatorNotAvailable) && !errors.Is(err, kerr.CoordinatorLoadInProgress) {
			return groups[name], err //nolint:wrapcheck // the finding names the group
		}
		if lifetime.Sleep(ctx, 200*time.Millisecond) != nil {
			return kadm.DescribedGroup{}, err //nolint:wrapcheck // the finding names the group
		}
	}
}

func groupFinding(name string, g kadm.DescribedGroup, l lag) Finding {
	seen := fmt.Sprintf("%s: %s, %s, %s", name, g.State, plural(len(g.Members), "worker"), plural(int(l.waiting), "request")+" waiting")
	if g.State == "Dead" || g.State == "" {
		seen = fmt.Sprintf("no worker has joined %s yet, %s waiting", name, plural(int(l.waiting), "request"))
	}
	if l.open > 0 { // their producer is to end it; kafka-transactions.sh does where that hangs
		seen += fmt.Sprintf("; %d more in an open transaction, or behind one", l.open)
	}
	switch {
	case l.lost > 0:
		seen += fmt.Sprintf("; %s gone before they were read", plural(int(l.lost), "request"))
		return finding(Fail, seen, Advice{Text: "start workers sooner, or raise the request topic's retention"})
	case len(g.Members) == 0 && l.waiting > 0:
		return finding(Warn, seen, Advice{Text: "start workers"})
	}
	return finding(OK, seen)
}

// lag is how many requests wait for workers, how many their topic let go
// before they were committed, and how many wait for a transaction's end.
type lag struct{ waiting, lost, open int64 }

func (c *checker) lag(ctx context.Context, of *ofLane) (lag, error) {
	var l lag
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	name := of.request.name
	commits, err := c.admin.FetchOffsets(ctx, of.Kafka.Group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return l, err //nolint:wrapcheck // the finding says what it is about
	}
	starts, noStart := kafka.Listed(c.admin.ListStartOffsets(ctx, name))
	stable, noStable := kafka.Listed(c.admin.ListCommittedOffsets(ctx, name))
	ends, noEnd := kafka.Listed(c.admin.ListEndOffsets(ctx, name))
	if err := cmp.Or(noStart, noStable, noEnd); err != nil {
		return l, err
	}
	stable.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(name, end.Partition)
		last, _ := ends.Lookup(name, end.Partition)
		from := start.Offset
		if commit, ok := commits.Lookup(name, end.Partition); ok && commit.At >= 0 {
			l.lost += max(0, start.Offset-commit.At)
			from = max(from, commit.At)
		}
		l.waiting += max(0, end.Offset-from)
		l.open += max(0, last.Offset-max(from, end.Offset))
	})
	return l, nil
}
