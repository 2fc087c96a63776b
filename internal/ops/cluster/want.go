package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// Topic settings of Kafka's.
const (
	minISR         = "min.insync.replicas"
	retentionTime  = "retention.ms"
	retentionBytes = "retention.bytes"
	maxBytes       = "max.message.bytes"
	cleanupPolicy  = "cleanup.policy"
	compactionLag  = "min.compaction.lag.ms"
)

// wanted is a topic as the settings want it.
type wanted struct {
	name        string
	partitions  int
	replication int
	policy      string   // cleanup.policy
	amounts     []amount // in the order in which they are shown
}

// amount is a topic setting of which more does no harm.
type amount struct {
	name  string
	value int64 // the highest number stands for no limit
}

// checkRetention is how long records of the connection check are kept.
const checkRetention = time.Hour

// Orders are kept for longer than any of them lasts, and lifted or replaced ones
// for the history.
const (
	orderRetention = models.MaxOrder + 10*24*time.Hour
	orderHistory   = 7 * 24 * time.Hour
	orderPolicy    = "compact,delete"
)

// wantedOf lists the topics that a channel needs. What is found already
// decides too: the status topic follows the request topics, because it is the
// journal of what lies there.
func wantedOf(c *config.Config, found map[string]*topic, addPartitions bool) []wanted {
	t, s := &c.Kafka.Topic, sizesOf(&c.Limits)
	kept := int64(t.RetentionHours) * time.Hour.Milliseconds()
	make := func(name string, partitions int, retention, bytes int64) wanted {
		return wanted{name: name, partitions: partitions, replication: t.Replication, policy: "delete", amounts: []amount{
			{minISR, int64(t.MinISR)}, {retentionTime, retention}, {maxBytes, bytes},
		}}
	}
	var list []wanted
	status := make(c.Kafka.StatusTopic, 0, kept, s.status)
	for _, l := range lanesToMake(c) {
		requests := make(l.Kafka.RequestTopic, t.Partitions, kept, s.request)
		status.follow(&requests, found[requests.name], addPartitions)
		list = append(list, requests)
	}
	list = append(list, status, make(c.Kafka.DLQTopic, t.Partitions, kept, s.dlq))
	if makesControl(c) {
		control := make(c.Kafka.ControlTopic, 1, orderRetention.Milliseconds(), usualMax)
		control.policy = orderPolicy
		control.amounts = append(control.amounts, amount{compactionLag, orderHistory.Milliseconds()})
		list = append(list, control)
	}
	return append(list, make(c.Kafka.TempTopic, 1, checkRetention.Milliseconds(), usualMax))
}

// follow has a status topic keep its events for as long as the requests are
// there, and have at least as many partitions as they. Is may be nil.
func (w *wanted) follow(requests *wanted, is *topic, addPartitions bool) {
	partitions := requests.partitions
	if is != nil && is.exists() {
		partitions = len(is.partitions)
		if addPartitions {
			partitions = max(partitions, requests.partitions)
		}
		for _, name := range []string{retentionTime, retentionBytes} {
			if n, ok := is.amount(name); ok {
				w.raise(amount{name, n})
			}
		}
	}
	w.partitions = max(w.partitions, partitions)
}

// raise wants at least that much.
func (w *wanted) raise(a amount) {
	i := slices.IndexFunc(w.amounts, func(have amount) bool { return have.name == a.name })
	if i < 0 {
		w.amounts = append(w.amounts, a)
		return
	}
	w.amounts[i].value = max(w.amounts[i].value, a.value)
}

// merge joins what channels want of a topic that they share.
func merge(list []wanted) []wanted {
	var out []wanted
	for _, w := range list {
		i := slices.IndexFunc(out, func(have wanted) bool { return have.name == w.name })
		if i < 0 {
			out = append(out, w)
			continue
		}
		out[i].partitions = max(out[i].partitions, w.partitions)
		out[i].replication = max(out[i].replication, w.replication)
		for _, a := range w.amounts {
			out[i].raise(a)
		}
	}
	return out
}

// config returns the settings to create the topic with.
func (w *wanted) config() map[string]*string {
	list := map[string]*string{cleanupPolicy: new(w.policy)}
	for _, a := range w.amounts {
		list[a.name] = new(amountText(a.value))
	}
	return list
}

// String describes a topic that is not there yet.
func (w *wanted) String() string {
	parts := []string{plural(w.partitions, "partition"), fmt.Sprint("replication ", w.replication), cleanupPolicy + "=" + w.policy}
	for _, a := range w.amounts {
		parts = append(parts, a.name+"="+amountText(a.value))
	}
	return strings.Join(parts, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}
