package config

import (
	"slices"
	"strings"
)

// The lanes beside normal, as settings know them.
const (
	high = "high"
	bulk = "bulk"
)

// lane is a request topic beside the channel's own, with the settings that were
// given for it alone.
type lane struct {
	topic  string            // empty: the lane does not exist
	given  bool              // somebody named the topic
	values map[string]string // by the name of the setting for all lanes
}

// Lanes returns the settings of each lane that the channel has, the most urgent
// first. They differ in lane, topic, group and those settings that may be set
// for a lane; the lane normal is c itself. Of what Lanes returned, any other is
// its only lane.
func (c *Config) Lanes() []*Config {
	var lanes []*Config
	if c.high.topic != "" {
		lanes = append(lanes, c.inLane(high, &c.high))
	}
	lanes = append(lanes, c)
	if c.bulk.topic != "" {
		lanes = append(lanes, c.inLane(bulk, &c.bulk))
	}
	return lanes
}

// inLane returns a copy with what a lane has of its own.
func (c *Config) inLane(name string, of *lane) *Config {
	own := *c
	own.high, own.bulk = lane{}, lane{}
	own.Lane = name
	own.Kafka.RequestTopic, own.Kafka.LaneGiven = of.topic, of.given
	own.Kafka.Group += "." + name
	for _, row := range messageRows(&own) {
		if value, ok := of.values[row.name]; ok {
			_ = row.parse(value) // readLane has checked it
		}
	}
	return &own
}

// Warnings returns what no worker refuses and somebody should look at, a line
// each that begins with the setting's name.
func (c *Config) Warnings() []string {
	const attempts = 3
	var list []string
	for _, own := range c.Lanes() {
		if own.Lane == high && own.Worker.MaxAttempts < attempts {
			list = append(list, "HIGH_MAX_ATTEMPTS: below 3 each failure of the provider leaves a message of the lane high one attempt or none, and then all lanes pause until the provider answers a probe")
		}
	}
	return list
}

// of returns the row that sets the same for one lane alone.
func (row *setting) of(lane string) setting {
	own := *row
	own.name, own.fallback = strings.ToUpper(lane)+"_"+row.name, ""
	return own
}

// laneRows returns the settings that may be set for a lane, under their names for
// that lane, bound to c.
func laneRows(c *Config, lane string) []setting {
	var rows []setting
	for _, row := range messageRows(c) {
		if row.perLane {
			rows = append(rows, row.of(lane))
		}
	}
	return rows
}

// readLanes reads what is set for lanes. It is checked without the lane too, so
// that a mistake is found before the lane is made.
func (l *loader) readLanes() {
	c, topic := l.config, "KAFKA_"+strings.ToUpper(l.config.Channel)+"_REQUEST_TOPIC"
	_, c.Kafka.LaneGiven = l.get(topic)
	_, c.Kafka.ControlGiven = l.get(controlTopic)
	_, c.high.given = l.get(topic + "_HIGH")
	_, c.bulk.given = l.get(topic + "_BULK")
	c.high.values = l.readLane(high)
	c.bulk.values = l.readLane(bulk)
}

// readLane returns the values that are set for a lane.
func (l *loader) readLane(lane string) map[string]string {
	own := *l.config // with these values, to compare them
	values, variables := map[string]string{}, map[string]string{}
	prefix := strings.ToUpper(lane) + "_"
	for _, row := range laneRows(&own, lane) {
		variable, value := l.given(row)
		if variable == "" {
			continue
		}
		if err := row.check(value); err != nil {
			l.problem(variable, "%v", err)
		}
		name := strings.TrimPrefix(row.name, prefix)
		values[name], variables[name] = value, variable
	}
	if own.Worker.BaseBackoff <= own.Worker.MaxBackoff || l.wrong(baseBackoff, maxBackoff, prefix+baseBackoff, prefix+maxBackoff) {
		return values
	}
	switch base, most := variables[baseBackoff], variables[maxBackoff]; {
	case base != "":
		l.problem(base, "is above %s of the lane", maxBackoff)
	case most != "":
		l.problem(most, "is below %s of the lane", baseBackoff)
	}
	return values
}

// Settings that are compared with others.
const (
	baseBackoff   = "BASE_BACKOFF_SECONDS"
	maxBackoff    = "MAX_BACKOFF_SECONDS"
	concurrency   = "WORKER_CONCURRENCY"
	reservedSlots = "HIGH_RESERVED_SLOTS"
	controlTopic  = "KAFKA_CONTROL_TOPIC"
)

// checkSlots sets the reserve where nobody did. Without a lane to keep slots for
// there is none.
func (l *loader) checkSlots() {
	w := &l.config.Worker
	const part = 10
	switch {
	case w.ReservedSlots < 0: // not set
		w.ReservedSlots = min((w.Concurrency+part-1)/part, max(0, w.Concurrency-1))
	case w.ReservedSlots >= w.Concurrency && !l.wrong(concurrency, reservedSlots):
		variable, _ := l.given(setting{name: reservedSlots})
		l.problem(variable, "is out of range: 0 to %d, one less than %s", w.Concurrency-1, concurrency)
	}
	if l.config.high.topic == "" {
		w.ReservedSlots = 0
	}
}

// checkTopics reports a topic that is used for two things: each answer would be
// a request, or an order.
func (l *loader) checkTopics() {
	c, prefix := l.config, "KAFKA_"+strings.ToUpper(l.config.Channel)+"_"
	type use struct {
		variable, what string
		topic          *string
		spare          bool // a tool's own name for a lane: without it the lane does not exist
	}
	uses := []use{
		{variable: prefix + "REQUEST_TOPIC", what: "request topic", topic: &c.Kafka.RequestTopic},
		{variable: prefix + "STATUS_TOPIC", what: "status topic", topic: &c.Kafka.StatusTopic},
		{variable: prefix + "DLQ_TOPIC", what: "dead letter topic", topic: &c.Kafka.DLQTopic},
		{variable: controlTopic, what: "control topic", topic: &c.Kafka.ControlTopic},
		{variable: prefix + "REQUEST_TOPIC_HIGH", what: "request topic of the lane high", topic: &c.high.topic, spare: !c.high.given},
		{variable: prefix + "REQUEST_TOPIC_BULK", what: "request topic of the lane bulk", topic: &c.bulk.topic, spare: !c.bulk.given},
	}
	const dlq = 2 // and the status topic may be one
	for i, u := range uses {
		other := slices.IndexFunc(uses, func(o use) bool { return o.topic != u.topic && *o.topic == *u.topic })
		switch {
		case *u.topic == "" || other < 0:
		case u.spare:
			*u.topic = ""
		case other < i && (i != dlq || other != dlq-1):
			l.problem(u.variable, "is the %s: it needs one of its own", uses[other].what)
		}
	}
}
