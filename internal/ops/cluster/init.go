package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/ops"
)

// InitOptions say how far Init may go.
type InitOptions struct {
	DryRun        bool // change nothing, and say what would be done
	AddPartitions bool // to topics that have fewer than wanted
}

// Init makes the topics of the channels, and the one of the connection check,
// as the settings want them: it creates what is missing and raises what is too
// small. It reduces nothing, so it may be run again at any time. The error
// means that nothing was done: settings that cannot be (a *config.Error), or
// brokers that do not answer.
func Init(ctx context.Context, channels []*config.Config, o InitOptions) ([]Change, error) {
	for _, c := range channels {
		if err := checkTopicSettings(c); err != nil {
			return nil, err
		}
	}
	var list []Change
	for _, group := range byConnection(channels) {
		changes, err := initCluster(ctx, group, o)
		if err != nil {
			return nil, err
		}
		list = append(list, changes...)
	}
	return list, nil
}

func initCluster(ctx context.Context, channels []*config.Config, o InitOptions) ([]Change, error) {
	client, err := ops.Connect(ctx, channels[0])
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var names []string
	for _, c := range channels {
		names = append(append(names, topicsOf(c)...), c.Kafka.TempTopic)
	}
	slices.Sort(names)
	found, err := look(ctx, client, slices.Compact(names)...)
	if err != nil {
		return nil, err
	}
	var all []wanted
	for _, c := range channels {
		all = append(all, wantedOf(c, found, o.AddPartitions)...)
	}
	a := applier{kadm.NewClient(client), o.DryRun}
	var list []Change
	for _, w := range merge(all) {
		for _, c := range diff(w, found[w.name], o.AddPartitions) {
			list = append(list, a.apply(ctx, w, c))
		}
	}
	list = append(list, a.quota(ctx, channels)...)
	return list, awaitCreated(ctx, client, list)
}

// awaitCreated returns once the brokers show what was created: they tell one
// another after they have answered, and who asks next should not hear that
// nothing is there.
func awaitCreated(ctx context.Context, client *kgo.Client, list []Change) error {
	var names []string
	for _, c := range list {
		if c.Result == Created {
			names = append(names, c.Topic)
		}
	}
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		found, err := look(ctx, client, names...)
		if err != nil {
			return err
		}
		names = slices.DeleteFunc(names, func(name string) bool { return found[name].ready() })
		if len(names) == 0 {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the brokers have taken on %s, but do not show it yet: look at them with msgctl topics list", strings.Join(names, ", "))
		}
	}
}

// answerWithin is how long a person waits for one answer of the brokers.
const answerWithin = 15 * time.Second
