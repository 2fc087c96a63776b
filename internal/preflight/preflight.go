// Package preflight looks at what a worker would need before one is started: its
// settings, Kafka and its provider.
package preflight

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/app"
	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/cluster"
)

// Problems lists what would keep a worker of the channel from starting, one
// line each: its settings, and the files that they name. The Config is nil
// where the settings alone have problems.
func Problems(lookup config.Lookup, channel models.Channel) (*config.Config, []string) {
	c, err := config.Load(lookup, string(channel))
	if wrong, ok := errors.AsType[*config.Error](err); ok {
		return nil, wrong.Problems
	}
	var problems []string
	if _, err := kafka.FromSettings(&c.Kafka, "").Client(zerolog.Nop()); err != nil {
		problems = append(problems, "KAFKA: "+err.Error())
	}
	row := app.ProviderOf(c)
	if row.Advice == "" { // without a probe it is not opened: the mock would create its ledger
		return c, problems
	}
	if provider, _, err := row.Open(c); err != nil {
		problems = append(problems, err.Error())
	} else {
		_ = provider.Close() // it has made no call
	}
	return c, problems
}

// SetSettings is the advice to correct the settings of a channel.
const SetSettings cluster.Action = "set settings"

// Run checks everything that workers of the channels need: their settings,
// Kafka, and the provider. Channels are the settings as LoadTool reads them.
func Run(ctx context.Context, lookup config.Lookup, channels []*config.Config) []cluster.Finding {
	var settings, providers []cluster.Finding
	for _, c := range channels {
		s, p := checkWorker(ctx, lookup, models.Channel(c.Channel))
		settings, providers = append(settings, s), append(providers, p)
	}
	list := slices.Concat(settings, cluster.Check(ctx, channels), providers)
	rank := func(f cluster.Finding) int { // -1: about all channels
		return slices.IndexFunc(channels, func(c *config.Config) bool { return c.Channel == f.Channel })
	}
	slices.SortStableFunc(list, func(a, b cluster.Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// checkWorker makes the checks that need no Kafka.
func checkWorker(ctx context.Context, lookup config.Lookup, channel models.Channel) (settings, provider cluster.Finding) {
	settings = cluster.Finding{Channel: string(channel), Check: "settings", Verdict: cluster.OK, Seen: "a worker would start with them"}
	provider = cluster.Finding{Channel: string(channel), Check: "provider", Verdict: cluster.Skipped, Seen: "the settings are not right"}
	c, problems := Problems(lookup, channel)
	if len(problems) > 0 {
		settings.Verdict, settings.Seen = cluster.Fail, strings.Join(problems, "; ")
		settings.Advice = []cluster.Advice{{Action: SetSettings, Channel: string(channel)}}
		return settings, provider
	}
	if warnings := c.Warnings(); len(warnings) > 0 {
		settings.Verdict, settings.Seen = cluster.Warn, strings.Join(warnings, "; ")
	}
	var advice string
	if provider.Verdict, provider.Seen, advice = probeProvider(ctx, c); advice != "" {
		provider.Advice = []cluster.Advice{{Text: advice}}
	}
	return settings, provider
}

// probeProvider makes the probe of a worker's breaker: it sends nothing.
func probeProvider(ctx context.Context, c *config.Config) (verdict cluster.Verdict, seen, advice string) {
	row := app.ProviderOf(c)
	if row.Advice == "" {
		return cluster.OK, row.Name + " has nothing to ask", ""
	}
	provider, probe, err := row.Open(c)
	if err != nil {
		return cluster.Fail, err.Error(), "fix the setting"
	}
	defer provider.Close()
	ctx, cancel := context.WithTimeout(ctx, c.Worker.ProviderTimeout)
	defer cancel()
	begin := time.Now()
	if err := probe(ctx); err != nil {
		return cluster.Fail, row.Name + ": " + err.Error(), row.Advice
	}
	return cluster.OK, row.Name + " takes our credentials, in " + time.Since(begin).Round(time.Millisecond).String(), ""
}
