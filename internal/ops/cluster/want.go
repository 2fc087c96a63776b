package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"messaging-worker/internal/config"
)

// Topic settings of Kafka's.
const (
	minISR         = "min.insync.replicas"
	retentionTime  = "retention.ms"
	retentionBytes = "retention.bytes"
	maxBytes       = "max.message.bytes"
	cleanupPolicy  = "cleanup.policy"
)

// wanted is a topic as the settings want it.
type wanted struct {
	name        string
	partitions  int
	replication int
	amounts     []amount // in the order in which they are shown
}

// amount is a topic setting of which more does no harm.
type amount struct {
	name  string
	value int64 // the highest number stands for no limit
}

// checkRetention is how long records of the connection check are kept.
const checkRetention = time.Hour

// wantedOf lists the topics that a channel needs. What is found already
// decides too: the status topic follows the request topic, because it is the
// journal of what lies there.
func wantedOf(c *config.Config, found map[string]*topic, addPartitions bool) []wanted {
	t, s := &c.Kafka.Topic, sizesOf(&c.Limits)
	kept := int64(t.RetentionHours) * time.Hour.Milliseconds()
	make := func(name string, partitions int, retention, bytes int64) wanted {
		return wanted{name: name, partitions: partitions, replication: t.Replication, amounts: []amount{
			{minISR, int64(t.MinISR)}, {retentionTime, retention}, {maxBytes, bytes},
		}}
	}
	requests := make(c.Kafka.RequestTopic, t.Partitions, kept, s.request)
	status := make(c.Kafka.StatusTopic, t.Partitions, kept, s.status)
	if r := found[requests.name]; r != nil && r.exists() {
		status.partitions = len(r.partitions)
		if addPartitions {
			status.partitions = max(len(r.partitions), t.Partitions)
		}
		status.follow(r)
	}
	return []wanted{
		requests, status, make(c.Kafka.DLQTopic, t.Partitions, kept, s.dlq),
		make(c.Kafka.TempTopic, 1, checkRetention.Milliseconds(), usualMax),
	}
}

// follow has a status topic keep its events for as long as the requests are
// there.
func (w *wanted) follow(requests *topic) {
	if n, ok := requests.amount(retentionTime); ok {
		w.raise(amount{retentionTime, n})
	}
	if n, ok := requests.amount(retentionBytes); ok {
		w.raise(amount{retentionBytes, n})
	}
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
	list := map[string]*string{cleanupPolicy: new("delete")}
	for _, a := range w.amounts {
		list[a.name] = new(amountText(a.value))
	}
	return list
}

// String describes a topic that is not there yet.
func (w *wanted) String() string {
	parts := []string{plural(w.partitions, "partition"), fmt.Sprint("replication ", w.replication), cleanupPolicy + "=delete"}
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
