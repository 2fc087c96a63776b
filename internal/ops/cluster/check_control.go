package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/models"
)

// checkControl looks at the topic of operators' orders, unless there is none and
// none is wanted.
func (c *checker) checkControl(ctx context.Context) {
	k := &c.cluster.Kafka
	if c.client == nil {
		if k.ControlGiven {
			c.make(ctx, "", "control", nil)
		}
		return
	}
	describing, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	found, err := describeTopics(describing, c.client, k.ControlTopic)
	if err == nil && !k.ControlGiven && !found[k.ControlTopic].exists() {
		return
	}
	c.make(ctx, "", "control", func(ctx context.Context) Finding {
		if err != nil {
			return finding(Fail, err.Error(), Advice{Text: seeLogs})
		}
		return c.control(ctx, found[k.ControlTopic])
	})
}

// control checks that workers can read the topic and that it holds the orders
// for as long as they may be in force.
func (c *checker) control(ctx context.Context, t *topic) Finding {
	switch {
	case t.missing():
		seen := "topic " + t.name + " (KAFKA_CONTROL_TOPIC) does not exist: workers do not begin without it"
		return finding(Fail, seen, Advice{Action: InitTopics, Text: "creates it"})
	case t.forbidden():
		return finding(Fail, "topic "+t.name+": no permission, not even to see it (ACL)", Advice{Text: grantThem})
	case !t.exists():
		return finding(Fail, t.name+": "+t.err.Error(), Advice{Text: seeLogs})
	}
	if !makesControl(c.cluster) { // and then it need not be right
		seen := t.name + " exists, and KAFKA_CONTROL_TOPIC is not set: workers of these settings follow no orders"
		return finding(Warn, seen, Advice{Text: "set it for the workers, or delete the topic"})
	}
	var w worst
	asking, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	denied, err := kafka.MissingTopics(asking, c.client, kafka.Need{Topic: t.name, Read: true})
	if err != nil {
		return finding(Fail, err.Error(), Advice{Text: seeLogs})
	}
	for _, why := range denied {
		w.add(Fail, why.Error(), grantThem)
	}
	if n := len(t.partitions); n != 1 {
		w.add(Fail, fmt.Sprintf("%s has %d partitions, want 1: an order that was lifted may be in force again", t.name, n), "delete the topic and create it again, when no order is in force")
	}
	keepsOrders(&w, t)
	c.replicas(&w, &c.cluster.Kafka.Topic, t)
	return w.orOK(t.name + " can be read and keeps its orders")
}

// keepsOrders checks which records the topic lets go. Settings that may not be
// seen count as right.
func keepsOrders(w *worst, t *topic) {
	policy := t.settings[cleanupPolicy]
	if policy != "" && !samePolicy(policy, orderPolicy) {
		w.add(Warn, cleanupPolicy+" is "+policy+", want "+orderPolicy+": lifted and ended orders stay", setPolicy(t.name, orderPolicy))
	}
	raise := Advice{Action: InitTopics, Text: "raises its settings"}
	kept, known := t.amount(retentionTime)
	deletes := known && strings.Contains(policy, "delete")
	at := func(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
	switch {
	case deletes && kept < models.MaxOrder.Milliseconds():
		w.addAdvice(Fail, retentionTime+" is "+at(kept)+": orders go before they end", raise)
	case deletes && kept < orderRetention.Milliseconds():
		w.addAdvice(Warn, retentionTime+" is "+at(kept)+", want "+orderRetention.String(), raise)
	}
	if lag, ok := t.amount(compactionLag); ok && strings.Contains(policy, "compact") && lag < orderHistory.Milliseconds() {
		w.addAdvice(Warn, compactionLag+" is "+at(lag)+", want "+orderHistory.String()+": the history of orders is short", raise)
	}
}
