package ops

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/models"
)

// LaneOf returns the settings of one of a channel's lanes. The error, a
// *config.Error, means that it has no topic: another one has the usual name.
func LaneOf(c *config.Config, lane models.Lane) (*config.Config, error) {
	for _, l := range c.Lanes() {
		if l.Lane == string(lane) {
			return l, nil
		}
	}
	return nil, &config.Error{Problems: []string{fmt.Sprintf("KAFKA_%s_REQUEST_TOPIC_%s: is required, since the usual name of the lane's topic is in use",
		strings.ToUpper(c.Channel), strings.ToUpper(string(lane)))}}
}

// Lanes names the lane of each request topic of a channel.
type Lanes map[string]models.Lane

// LanesOf returns those of a channel's settings.
func LanesOf(c *config.Config) Lanes {
	lanes := Lanes{}
	for _, l := range c.Lanes() {
		lanes[l.Kafka.RequestTopic] = models.Lane(l.Lane)
	}
	return lanes
}

// Of returns the lane of a request topic. A request of any other topic, an old
// name for example, counts as one of the normal lane.
func (l Lanes) Of(topic string) models.Lane {
	if lane, ok := l[topic]; ok {
		return lane
	}
	return models.LaneNormal
}

// LaneInUse is a lane that a channel really has.
type LaneInUse struct {
	*config.Config

	Partitions int // of its request topic; 0 where it is not there or may not be seen
}

// LanesInUse returns a channel's lanes, the most urgent first, without those
// that nobody has named in the settings and whose topic is not there either. The
// error means that the brokers do not answer.
func LanesInUse(ctx context.Context, client *kgo.Client, c *config.Config) ([]LaneInUse, error) {
	all := c.Lanes()
	var names []string
	for _, l := range all {
		names = append(names, l.Kafka.RequestTopic)
	}
	answers, err := kafka.Metadata(ctx, client, names...)
	if err != nil {
		return nil, fmt.Errorf("ask for the topics of the lanes: %w", err)
	}
	found := map[string]kmsg.MetadataResponseTopic{}
	for _, t := range answers {
		found[*t.Topic] = t
	}
	var lanes []LaneInUse
	for _, l := range all {
		n := len(found[l.Kafka.RequestTopic].Partitions)
		if n > 0 || l.Kafka.LaneGiven || l.Lane == string(models.LaneNormal) {
			lanes = append(lanes, LaneInUse{l, n})
		}
	}
	return lanes, nil
}
