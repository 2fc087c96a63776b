package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
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
	request, status, dlq *topic
}

func (o *ofChannel) topics() []*topic { return []*topic{o.request, o.status, o.dlq} }

// channelCheck is one that is made for each channel.
type channelCheck struct {
	name string
	run  func(ctx context.Context, o *ofChannel) Finding
}

// channelChecks lists them in their order.
func (c *checker) channelChecks() []channelCheck {
	return []channelCheck{
		{"topics", c.existence},
		{"permissions", c.permissions},
		{"partitions", c.partitions},
		{"sizes", c.sizes},
		{"journal", c.journal},
		{"replication", c.replication},
		{"group", c.group},
	}
}

func (c *checker) run(ctx context.Context, channels []*config.Config) {
	connected := c.connect(ctx)
	c.add("", "connection", connected)
	if connected.Verdict == Fail {
		c.skip(channels)
		return
	}
	defer c.client.Close()
	c.add("", "brokers", c.everyBroker(ctx))
	c.add("", "round trip", c.roundTrip(ctx))
	for _, channel := range channels {
		o, err := c.describeChannel(ctx, channel)
		for _, check := range c.channelChecks() {
			f := Finding{Verdict: Fail, Advice: advise(seeLogs)}
			if err == nil {
				f = check.run(ctx, o)
			} else {
				f.Seen = err.Error()
			}
			c.add(channel.Channel, check.name, f)
		}
	}
}

// skip names what was not checked.
func (c *checker) skip(channels []*config.Config) {
	none := Finding{Verdict: Skipped, Seen: "no connection"}
	c.add("", "brokers", none)
	c.add("", "round trip", none)
	for _, channel := range channels {
		for _, check := range c.channelChecks() {
			c.add(channel.Channel, check.name, none)
		}
	}
}

func (c *checker) add(channel, check string, f Finding) {
	f.Channel, f.Check = channel, check
	c.list = append(c.list, f)
}

// withTimeout bounds one question.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, answerTimeout)
}

func (c *checker) describeChannel(ctx context.Context, channel *config.Config) (*ofChannel, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	found, err := describeTopics(ctx, c.client, topicsOf(channel)...)
	if err != nil {
		return nil, err
	}
	k := &channel.Kafka
	return &ofChannel{channel, found[k.RequestTopic], found[k.StatusTopic], found[k.DLQTopic]}, nil
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
		return Finding{
			Verdict: Fail, Seen: seen,
			Advice: []Advice{connectAdvice(err, &c.cluster.Kafka)},
		}
	}
	c.client, c.admin = client, kadm.NewClient(client)
	return Finding{Verdict: OK, Seen: fmt.Sprintf("%s answers in %s", brokers, took(begin))}
}

// took is a time as people read it.
func took(begin time.Time) string { return time.Since(begin).Round(time.Millisecond).String() }
