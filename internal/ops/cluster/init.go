package cluster

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/ops/fault"
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
	return perCluster(ctx, channels, func(client *kgo.Client, channels []*config.Config) ([]Change, error) {
		return initCluster(ctx, client, channels, o)
	})
}

func initCluster(ctx context.Context, client *kgo.Client, channels []*config.Config, o InitOptions) ([]Change, error) {
	found, err := describeTopics(ctx, client, allTopics(channels)...)
	if err != nil {
		return nil, err
	}
	var all []wanted
	for _, c := range channels {
		all = append(all, wantedOf(c, found, o.AddPartitions)...)
	}
	all = merge(all)
	a := applier{kadm.NewClient(client), o.DryRun}
	var list []Change
	for _, w := range all {
		for _, c := range diff(w, found[w.name], o.AddPartitions) {
			list = append(list, a.apply(ctx, w, c))
		}
	}
	if err := awaitShown(ctx, client, all, list); err != nil {
		return nil, err
	}
	return append(list, a.quota(ctx, channels)...), nil
}

// awaitShown returns once every broker shows the changes: brokers answer before
// the change has reached the others.
func awaitShown(ctx context.Context, client *kgo.Client, all []wanted, list []Change) error {
	done := map[[2]string]bool{}
	names := map[string]bool{}
	for _, c := range list {
		if c.Result == Created || c.Result == Raised {
			done[[2]string{c.Topic, c.Setting}], names[c.Topic] = true, true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for len(names) > 0 {
		found, err := describeTopics(ctx, client, slices.Collect(maps.Keys(names))...)
		if err != nil {
			return err
		}
		for _, w := range all {
			if names[w.name] && shows(w, found[w.name], done) {
				delete(names, w.name)
			}
		}
		if len(names) > 0 && lifetime.Sleep(ctx, showInterval) != nil {
			return fault.New(fault.NotShown, "the brokers have taken on changes of %s, but do not show them yet",
				strings.Join(slices.Sorted(maps.Keys(names)), ", "))
		}
	}
	return nil
}

// shows reports whether nothing of what was done is still to be done.
func shows(w wanted, is *topic, done map[[2]string]bool) bool {
	return is.ready() && !slices.ContainsFunc(diff(w, is, true), func(c Change) bool {
		return c.Result == Raised && done[[2]string{c.Topic, c.Setting}]
	})
}

const (
	// answerTimeout bounds one request to the brokers.
	answerTimeout = 15 * time.Second
	// showInterval is how often they are asked whether they show a change.
	showInterval = 50 * time.Millisecond
)
