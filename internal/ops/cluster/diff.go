package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Result is what became of a difference.
type Result string

// The results. Those that change something read "would be …" in a dry run.
const (
	AsWanted Result = "as wanted"
	Created  Result = "created"
	Raised   Result = "raised"
	Kept     Result = "kept"    // see the note, or it is more than wanted
	Refused  Result = "refused" // by the brokers; the note says why
)

// Change is a topic that was missing, or a setting of a topic that differed
// from what is wanted. A topic that differs in nothing has one with AsWanted.
type Change struct {
	Topic   string `json:"topic"`
	Setting string `json:"setting,omitzero"` // empty: the topic as a whole
	Is      string `json:"is"`
	Wanted  string `json:"wanted"`
	Result  Result `json:"result"`
	Note    string `json:"note,omitzero"` // what to do about it
}

// NeedsAddPartitions reports whether the topic keeps too few partitions because
// AddPartitions was not set.
func (c *Change) NeedsAddPartitions() bool {
	return c.Setting == partitionSetting && c.Result == Kept && c.Note != ""
}

const partitionSetting = "partitions"

// diff returns what is to be done about a topic. Results are what is intended; nothing is
// ever made smaller.
func diff(w wanted, is *topic, addPartitions bool) []Change {
	switch {
	case is.missing():
		return []Change{{Topic: w.name, Is: "missing", Wanted: w.String(), Result: Created}}
	case !is.exists():
		return []Change{{Topic: w.name, Is: "unknown", Wanted: w.String(), Result: Refused, Note: refusal("Describe", is.err, "")}}
	}
	list := diffShape(w, is, addPartitions)
	if is.settingsErr != nil {
		list = append(list, Change{
			Topic: w.name, Setting: "settings", Is: "unknown", Wanted: w.String(), Result: Refused, Note: refusal("DescribeConfigs", is.settingsErr, ""),
		})
	} else {
		list = append(list, diffSettings(w, is)...)
	}
	if len(list) == 0 {
		shape := fmt.Sprintf("%s, replication %d", plural(len(is.partitions), "partition"), is.replication())
		list = append(list, Change{Topic: w.name, Is: shape, Wanted: shape, Result: AsWanted})
	}
	return list
}

// diffShape looks at partitions and replicas.
func diffShape(w wanted, is *topic, addPartitions bool) []Change {
	var list []Change
	if n := len(is.partitions); n != w.partitions {
		c := Change{Topic: w.name, Setting: partitionSetting, Is: strconv.Itoa(n), Wanted: strconv.Itoa(w.partitions), Result: Kept}
		switch {
		case n < w.partitions && addPartitions:
			c.Result = Raised
		case n < w.partitions:
			c.Note = "new partitions take over keys of the old ones, so the records of a key no longer lie in one partition in order"
		}
		list = append(list, c)
	}
	if n := is.replication(); n != w.replication {
		c := Change{Topic: w.name, Setting: "replication", Is: strconv.Itoa(n), Wanted: strconv.Itoa(w.replication), Result: Kept}
		if n < w.replication {
			c.Note = "replicas are added by Kafka's own kafka-reassign-partitions.sh"
		}
		list = append(list, c)
	}
	return list
}

// setPolicy is the command that changes a topic's cleanup.policy.
func setPolicy(name, policy string) string {
	if strings.Contains(policy, ",") {
		policy = "[" + policy + "]"
	}
	return "kafka-configs.sh --alter --entity-type topics --entity-name " + name + " --add-config cleanup.policy=" + policy
}

// diffPolicy looks at which old records go. As this decides about records, it is
// left to people.
func diffPolicy(w wanted, is *topic) []Change {
	policy := is.settings[cleanupPolicy]
	note := "compaction removes records that are needed"
	if w.policy == orderPolicy {
		note = "orders that were lifted or replaced should go, and all of them some time"
	}
	if policy == "" || samePolicy(policy, w.policy) {
		return nil
	}
	return []Change{{
		Topic: w.name, Setting: cleanupPolicy, Is: policy, Wanted: w.policy, Result: Kept,
		Note: note + "; as this decides which old records go, change it by hand: " + setPolicy(w.name, w.policy),
	}}
}

// samePolicy compares lists in any order.
func samePolicy(a, b string) bool {
	parts := func(policy string) []string {
		return slices.Sorted(strings.SplitSeq(strings.ReplaceAll(policy, " ", ""), ","))
	}
	return slices.Equal(parts(a), parts(b))
}

// diffSettings looks at the topic's settings.
func diffSettings(w wanted, is *topic) []Change {
	list := diffPolicy(w, is)
	for _, a := range w.amounts {
		n, known := is.amount(a.name)
		if !known || n == a.value {
			continue
		}
		c := Change{Topic: w.name, Setting: a.name, Is: amountText(n), Wanted: amountText(a.value), Result: Kept}
		switch {
		case n > a.value:
		case a.name == minISR && a.value > int64(is.replication()):
			c.Note = fmt.Sprintf("the topic has only %s, no more can be in sync", plural(is.replication(), "replica"))
		default:
			c.Result = Raised
		}
		list = append(list, c)
	}
	return list
}
