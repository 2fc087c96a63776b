package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"messaging-worker/internal/worker"
)

// monitorInterval is how often readiness is looked at. The answers over HTTP
// are those of the last look.
const monitorInterval = time.Second

// ready is what the log says when all checks are ok.
const ready = "ready"

// monitor keeps the readiness checks true until ctx ends, and logs each time
// that readiness changes, with the reason.
func (a *App) monitor(ctx context.Context) {
	ticker := time.NewTicker(monitorInterval)
	defer ticker.Stop()
	said, journalSeen := "", !a.config.Kafka.CommitOnSuccessOnly // at most once, there is no journal
	for {
		said = a.look(ctx, said)
		if !journalSeen && said == ready {
			journalSeen = true
			a.warnOfJournal(ctx)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// warnOfJournal tells, once, what is wrong with the status topic as a journal.
func (a *App) warnOfJournal(ctx context.Context) {
	ask, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	found, err := a.publisher.JournalFaults(ask, a.config.Kafka.RequestTopic)
	if err != nil {
		a.log.Debug().Err(err).Msg("the status topic's retention cannot be checked")
	}
	for _, fault := range found {
		a.log.Warn().Str("topic", a.config.Kafka.StatusTopic).Str("fault", fault).
			Msg("the status topic does not keep what a restart needs: a crash may repeat messages")
	}
}

// beginUnready states the checks before the first look.
func (a *App) beginUnready() {
	a.health.Set("breaker", nil)
	a.health.Set("provider", nil)
	if a.config.HealthProbe && a.probe != nil {
		a.health.Set("provider", errors.New("not asked yet"))
	}
	a.health.Set("kafka", errors.New("not connected yet"))
	a.health.Set("topics", errors.New("not known yet"))
}

// probeInterval is how often readiness asks the provider, where it does.
const probeInterval = 15 * time.Second

// watchProvider keeps the provider's check true until ctx ends.
func (a *App) watchProvider(ctx context.Context) {
	if !a.config.HealthProbe || a.probe == nil {
		return
	}
	for {
		ask, cancel := context.WithTimeout(ctx, a.config.Worker.ProviderTimeout)
		err := a.probe(ask)
		cancel()
		if ctx.Err() != nil {
			return
		}
		a.health.Set("provider", err)
		select {
		case <-time.After(probeInterval):
		case <-ctx.Done():
			return
		}
	}
}

// breakerChanged keeps the breaker's check true.
func (a *App) breakerChanged(s worker.BreakerState, reason string) {
	if s == worker.Closed {
		a.health.Set("breaker", nil)
		a.health.Set("provider", nil) // a good probe and good calls have closed it
		return
	}
	a.health.Set("breaker", fmt.Errorf("%s: %s", s, reason))
}

// look sets the checks and logs what is new to say.
func (a *App) look(ctx context.Context, said string) string {
	ask, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	missing, err := a.publisher.MissingTopics(ask, a.config.Kafka.RequestTopic, a.config.Kafka.CommitOnSuccessOnly)
	if ctx.Err() != nil {
		return said
	}
	kafka, topics := a.kafkaState(err), errors.Join(missing...)
	if err != nil {
		topics = errors.New("not known while the brokers do not answer")
	}
	a.health.Set("kafka", kafka)
	a.health.Set("topics", topics)
	return a.announce(said, errors.Join(kafka, topics), len(missing) == 0 && err == nil)
}

func (a *App) kafkaState(unanswered error) error {
	state := a.consumer.State()
	switch {
	case unanswered != nil:
		return unanswered
	case state.Err != nil:
		return state.Err
	case a.publisher.Refused() != nil:
		return a.publisher.Refused()
	case !state.Joined:
		return errors.New("has not joined the consumer group yet")
	}
	return nil
}

// announce logs a change, and has the consumer look for topics that are there
// now.
func (a *App) announce(said string, problem error, topicsThere bool) string {
	now := ready
	if problem != nil {
		now = problem.Error()
	}
	if now == said {
		return said
	}
	if problem == nil {
		a.log.Info().Msg("ready")
		return now
	}
	if topicsThere {
		a.consumer.LookAgain()
	}
	a.log.Warn().Str("reason", now).Msg("not ready; will be when this is mended, nothing is lost meanwhile")
	return now
}
