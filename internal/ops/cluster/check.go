package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/fault"
)

// Check looks at everything that workers of these channels need of Kafka. It
// changes nothing but a record in the topic of the connection check. No check
// keeps another from being made, but without a connection there is none.
func Check(ctx context.Context, channels []*config.Config) []Finding {
	var list []Finding
	for _, group := range byConnection(channels) {
		c := &checker{cluster: group[0]}
		c.run(ctx, group)
		list = append(list, c.list...)
	}
	return list
}

// checker makes the checks of one cluster.
type checker struct {
	cluster *config.Config // of the first channel: how to connect
	client  *kgo.Client
	admin   *kadm.Client
	brokers int
	list    []Finding
}

// ofChannel is one channel with what the brokers say of its topics.
type ofChannel struct {
	*config.Config

	lanes       []ofLane // those that workers read, the most urgent first
	unread      []ofLane // others whose topic exists, which need not be right
	status, dlq *topic
}

// ofLane is one lane of a channel with its request topic.
type ofLane struct {
	*config.Config

	request *topic
}

// named is a lane's name in texts and names of checks: empty for normal, as long
// as there was no other.
func (l *ofLane) named(before string) string {
	if l.Lane == string(models.LaneNormal) {
		return ""
	}
	return before + l.Lane
}

// topics lists those of requests, then those of events and of dead letters.
func (o *ofChannel) topics() []*topic { return append(o.requests(), o.status, o.dlq) }

func (o *ofChannel) requests() []*topic {
	var list []*topic
	for _, l := range o.lanes {
		list = append(list, l.request)
	}
	return list
}

// journalThere reports whether what the journal consists of can be looked at.
func (o *ofChannel) journalThere() bool {
	return !slices.ContainsFunc(append(o.requests(), o.status), func(t *topic) bool { return !t.exists() })
}

func (c *checker) run(ctx context.Context, channels []*config.Config) {
	connected := c.connect(ctx)
	connected.Check = "connection"
	c.list = append(c.list, connected)
	if c.client != nil {
		defer c.client.Close()
	}
	c.make(ctx, "", "brokers", c.everyBroker)
	c.make(ctx, "", "round trip", c.roundTrip)
	c.checkControl(ctx)
	for _, channel := range channels {
		c.checkChannel(ctx, channel)
	}
}

func (c *checker) checkChannel(ctx context.Context, channel *config.Config) {
	var o *ofChannel
	var err error
	if c.client != nil {
		o, err = c.describeChannel(ctx, channel)
	}
	check := func(name string, run func(context.Context, *ofChannel) Finding) {
		c.make(ctx, channel.Channel, name, func(ctx context.Context) Finding {
			if err != nil {
				return finding(Fail, err.Error(), Advice{Text: seeLogs})
			}
			return run(ctx, o)
		})
	}
	check("topics", c.existence)
	check("permissions", c.permissions)
	check("partitions", c.partitions)
	check("sizes", c.sizes)
	check("journal", c.journal)
	check("replication", c.replication)
	if o == nil { // nothing is known of lanes, and none can be looked at
		check("group", nil)
		return
	}
	for _, l := range slices.Concat(o.lanes, o.unread) {
		check("group"+l.named("."), func(ctx context.Context, _ *ofChannel) Finding { return c.group(ctx, &l) })
	}
}

// make makes a check, and without a connection says that it does not.
func (c *checker) make(ctx context.Context, channel, name string, check func(context.Context) Finding) {
	f := finding(Skipped, "no connection")
	if c.client != nil {
		f = check(ctx)
	}
	f.Channel, f.Check = channel, name
	c.list = append(c.list, f)
}

func (c *checker) describeChannel(ctx context.Context, channel *config.Config) (*ofChannel, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	k := &channel.Kafka
	names := []string{k.StatusTopic, k.DLQTopic}
	lanes := channel.Lanes()
	for _, l := range lanes {
		names = append(names, l.Kafka.RequestTopic)
	}
	found, err := describeTopics(ctx, c.client, names...)
	if err != nil {
		return nil, err
	}
	o := &ofChannel{Config: channel, status: found[k.StatusTopic], dlq: found[k.DLQTopic]}
	for _, l := range lanes {
		switch t := found[l.Kafka.RequestTopic]; {
		case l.Lane == string(models.LaneNormal) || l.Kafka.LaneGiven || !k.LaneGiven && t.exists():
			o.lanes = append(o.lanes, ofLane{l, t})
		case t.exists():
			o.unread = append(o.unread, ofLane{l, t})
		}
	}
	return o, nil
}

// connect is the first check.
func (c *checker) connect(ctx context.Context) Finding {
	begin := time.Now()
	client, err := ops.Connect(ctx, c.cluster)
	brokers := strings.Join(c.cluster.Kafka.Brokers, ",")
	if err != nil {
		seen := err.Error()
		if !fault.Is(err, fault.NoBroker) { // the settings cannot be used; the text begins with what was tried
			seen = fmt.Sprintf("no broker of %s answers: %v", brokers, cmp.Or(errors.Unwrap(err), err))
		}
		return finding(Fail, seen, connectAdvice(err, &c.cluster.Kafka))
	}
	c.client, c.admin = client, kadm.NewClient(client)
	return finding(OK, fmt.Sprintf("%s answers in %s", brokers, took(begin)))
}

// took is a time as people read it.
func took(begin time.Time) string { return time.Since(begin).Round(time.Millisecond).String() }
