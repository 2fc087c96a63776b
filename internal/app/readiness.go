package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/health"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/worker/route"
)

// beginUnready sets the checks before the first look. Without askProvider there
// is none of the provider: it appears with the breaker's first change.
func beginUnready(h *health.Health, askProvider bool) {
	h.Set("breaker", nil)
	if askProvider {
		h.Set("provider", errors.New("not asked yet"))
	}
	h.Set("kafka", errors.New("not connected yet"))
	h.Set("topics", errors.New("not known yet"))
}

// How often readiness is looked at. The answers over HTTP are those of the last
// look. While the worker is not ready it looks more often: what works again is
// to be ready within a second.
const (
	monitorInterval = time.Second
	unreadyInterval = 200 * time.Millisecond
)

// askTimeout is how long the brokers may take to answer a look. While they do
// not, they are asked once more after each askAgain: a request that began before
// they came back waits ever longer for its next try.
const (
	askTimeout = 3 * time.Second
	askAgain   = 700 * time.Millisecond
)

// ready is what the log says when all checks are ok.
const ready = "ready"

// monitor keeps the readiness checks true until ctx ends, and logs each time
// that readiness changes, with the reason.
func (a *App) monitor(ctx context.Context) {
	reported, journalSeen := "", !a.config.Kafka.CommitOnSuccessOnly // at most once, there is no journal
	for {
		reported = a.checkKafka(ctx, reported)
		if !journalSeen && reported == ready {
			journalSeen = true
			a.warnOfJournal(ctx)
		}
		interval := monitorInterval
		if reported != ready {
			interval = unreadyInterval
		}
		if lifetime.Sleep(ctx, interval) != nil {
			return
		}
	}
}

// warnOfJournal tells, once, what is wrong with the status topic as a journal.
func (a *App) warnOfJournal(ctx context.Context) {
	ask, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, s := range a.pipeline.sources {
		faults, err := a.pipeline.publisher.JournalFaults(ask, s.config.Kafka.RequestTopic)
		if err != nil {
			s.log.Debug().Err(err).Msg("the status topic's retention cannot be checked")
		}
		for _, fault := range faults {
			s.log.Warn().Str("topic", s.config.Kafka.StatusTopic).Str("fault", fault).
				Msg("the status topic does not keep what a restart needs: a crash may repeat messages")
		}
	}
}

// checkKafka sets the checks and logs a change. It returns what was logged last.
func (a *App) checkKafka(ctx context.Context, reported string) string {
	missing, err := firstAnswer(ctx, func(ctx context.Context) ([]error, error) {
		return a.pipeline.publisher.MissingTopics(ctx, a.pipeline.topics(), a.config.Kafka.CommitOnSuccessOnly)
	})
	if ctx.Err() != nil {
		return reported
	}
	answer, topics := a.kafkaState(err), errors.Join(missing...)
	if err != nil {
		topics = errors.New("not known while the brokers do not answer")
	}
	a.health.Set("kafka", answer)
	a.health.Set("topics", topics)
	return a.logChange(reported, errors.Join(a.pipeline.control.check(a.health), answer, topics))
}

// firstAnswer asks, and asks again beside that while there is no answer. It
// returns the first answer, or the error of askTimeout.
func firstAnswer[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	type answer struct {
		what T
		err  error
	}
	answers := make(chan answer, int(askTimeout/askAgain)+1) // of all that are ever made
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for range cap(answers) {
		asking.Go(func() {
			what, err := ask(ctx)
			answers <- answer{what, err}
		})
		select {
		case a := <-answers:
			return a.what, a.err
		case <-again.C:
		}
	}
	a := <-answers
	return a.what, a.err
}

func (a *App) kafkaState(unanswered error) error {
	if unanswered != nil {
		return unanswered
	}
	// What is not acknowledged may be the cause of the rest: a journal is not
	// read before our own events are there.
	faults, outside := a.pipeline.publisher.Refused(), error(nil)
	for _, s := range a.pipeline.sources {
		state := s.consumer.State()
		faults = errors.Join(faults, s.ofLane(state.Err))
		if !state.Joined {
			outside = errors.Join(outside, s.ofLane(errors.New("has not joined the consumer group yet")))
		}
	}
	return cmp.Or(faults, outside)
}

// logChange logs a change of readiness, and has the consumers look whether their
// topics are there now.
func (a *App) logChange(reported string, problem error) string {
	now := ready
	if problem != nil {
		now = problem.Error()
	}
	if kafka.SameFault(now, reported) {
		return reported
	}
	if problem == nil {
		a.log.Info().Msg("ready")
		return now
	}
	for _, s := range a.pipeline.sources {
		s.consumer.LookAgain()
	}
	a.log.Warn().Str("reason", now).Msg("not ready; will be when this is mended, nothing is lost meanwhile")
	return now
}

// probeInterval is how often readiness asks the provider, where it does.
const probeInterval = 15 * time.Second

// watchProvider keeps the provider's check true until ctx ends.
func (a *App) watchProvider(ctx context.Context, provider *account) {
	if !a.config.HealthProbe || provider.probe == nil {
		return
	}
	for {
		a.probeProvider(ctx, provider)
		if lifetime.Sleep(ctx, probeInterval) != nil {
			return
		}
	}
}

// probeProvider makes one probe for the provider's check. While the breaker is
// not closed it probes by itself; credentials that were refused wait as they do
// there.
func (a *App) probeProvider(ctx context.Context, provider *account) {
	if s, _, reason := provider.route.Breaker(); s != route.Closed {
		a.health.Set("provider", errors.New(reason))
		return
	}
	if !provider.credentials.Due() {
		return
	}
	ask, cancel := context.WithTimeout(ctx, a.config.Worker.ProviderTimeout)
	defer cancel()
	err := provider.probe(ask)
	switch f := common.Classify(err); {
	case ctx.Err() != nil:
		return
	case f == nil:
		provider.credentials.Accepted()
	case f.Credentials:
		err = fmt.Errorf("%w%s", err, route.NextTry(provider.credentials.Refused()))
	}
	a.health.Set("provider", err)
}

// showBreaker returns the listener that keeps the checks of breaker and provider
// true.
func showBreaker(h *health.Health) func(s route.BreakerState, reason string) {
	return func(s route.BreakerState, reason string) {
		switch s {
		case route.Closed:
			h.Set("breaker", nil)
			h.Set("provider", nil) // good calls, or a good probe, have closed it
			return
		case route.HalfOpen:
			h.Set("provider", nil) // a good probe
		case route.Open:
			h.Set("provider", errors.New(reason))
		}
		h.Set("breaker", fmt.Errorf("%s: %s", s, reason))
	}
}
