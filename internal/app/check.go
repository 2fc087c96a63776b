package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
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
	if _, err := ops.KafkaOptions(c, "").Client(zerolog.Nop()); err != nil {
		problems = append(problems, "KAFKA: "+err.Error())
	}
	p, err := built(c, channel)
	if err != nil {
		problems = append(problems, err.Error())
	} else if p.provider != nil {
		_ = p.provider.Close() // it has made no call
	}
	return c, problems
}

// built makes the channel's parts, but for the mock's: it would begin its
// ledger, and there is nothing to ask it.
func built(c *config.Config, channel models.Channel) (parts, error) {
	if c.Provider.Name == "mock" {
		return parts{}, nil
	}
	list := Builders()
	i := slices.IndexFunc(list, func(b Builder) bool { return b.Channel == channel })
	return list[i].build(c)
}

// Check looks at everything that workers of the channels need, as they would:
// their settings, Kafka, and the provider. Channels are the settings as a tool
// reads them.
func Check(ctx context.Context, lookup config.Lookup, channels []*config.Config) []cluster.Finding {
	var settings, providers []cluster.Finding
	for _, c := range channels {
		s, p := checkWorker(ctx, lookup, models.Channel(c.Channel))
		settings, providers = append(settings, s), append(providers, p)
	}
	list := slices.Concat(settings, cluster.Check(ctx, channels), providers)
	place := func(f cluster.Finding) int {
		return slices.IndexFunc(channels, func(c *config.Config) bool { return c.Channel == f.Channel }) // -1: of all
	}
	slices.SortStableFunc(list, func(a, b cluster.Finding) int { return cmp.Compare(place(a), place(b)) })
	return list
}

// checkWorker looks at what needs no Kafka.
func checkWorker(ctx context.Context, lookup config.Lookup, channel models.Channel) (settings, provider cluster.Finding) {
	settings = cluster.Finding{Channel: string(channel), Check: "settings", Verdict: cluster.OK, Seen: "a worker would start with them"}
	provider = cluster.Finding{Channel: string(channel), Check: "provider", Verdict: cluster.Skipped, Seen: "the settings are not right"}
	c, problems := Problems(lookup, channel)
	if len(problems) > 0 {
		settings.Verdict, settings.Seen = cluster.Fail, strings.Join(problems, "; ")
		settings.Advice = "set them right in the environment or in .env; msgctl config print " + string(channel) + " shows where each one comes from"
		return settings, provider
	}
	provider.Verdict, provider.Seen, provider.Advice = askProvider(ctx, c, channel)
	return settings, provider
}

// askProvider makes the probe of a worker's breaker: it sends nothing.
func askProvider(ctx context.Context, c *config.Config, channel models.Channel) (verdict cluster.Verdict, seen, advice string) {
	name := c.Provider.Name
	p, err := built(c, channel)
	switch {
	case err != nil:
		return cluster.Fail, err.Error(), "mend the setting"
	case p.probe == nil:
		return cluster.OK, name + " has nothing to ask", ""
	}
	defer p.provider.Close()
	ctx, cancel := context.WithTimeout(ctx, c.Worker.ProviderTimeout)
	defer cancel()
	begin := time.Now()
	if err := p.probe(ctx); err != nil {
		return cluster.Fail, name + ": " + err.Error(), providerAdvice(name)
	}
	return cluster.OK, name + " takes our credentials, in " + time.Since(begin).Round(time.Millisecond).String(), ""
}

// providerAdvice names the settings that a probe depends on.
func providerAdvice(name string) string {
	switch name {
	case "smtp":
		return "check SMTP_HOST, SMTP_PORT, SMTP_TLS and SMTP_TLS_CA_FILE; if it refuses our credentials, SMTP_USERNAME, SMTP_PASSWORD and SMTP_AUTH; a 421 may mean that workers which run have all connections that it grants"
	case "twilio":
		return "check TWILIO_BASE_URL; if it refuses our credentials (401), TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET"
	default:
		return "check META_BASE_URL and META_API_VERSION; if it refuses our credentials (401, code 190), META_ACCESS_TOKEN and META_PHONE_NUMBER_ID"
	}
}
