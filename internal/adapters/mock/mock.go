// Package mock plays a provider for all channels: what a call comes to is
// decided by hints in the request's meta, and by nothing else.
package mock

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
)

// Mock plays scenarios. It is safe for concurrent use.
type Mock struct {
	latency time.Duration
	ledger  *os.File // nil when none is kept
}

// New makes a mock whose calls take latency each, if the message does not say
// otherwise. Ledger is a file that gets a line for each accepted recipient; empty
// for none. It is opened for appending, so that one file outlives its writers and
// may have several.
func New(latency time.Duration, ledger string) (*Mock, error) {
	m := &Mock{latency: latency}
	if ledger == "" {
		return m, nil
	}
	var err error
	m.ledger, err = os.OpenFile(ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return m, nil
}

// Close closes the ledger.
func (m *Mock) Close() error {
	if m.ledger == nil {
		return nil
	}
	return m.ledger.Close()
}

// Results of calls besides the scenarios transient, permanent, rate_limited and
// unknown. A call that runs into its time limit has none: Play returns the
// context's error.
const (
	Accepted   = "success"
	Unplayable = "unplayable" // the hints make no sense: refused for good
)

// Outcome is what a call came to.
type Outcome struct {
	Result     string
	Refused    []int // of an accepted call: recipients refused for good all the same
	RetryAfter time.Duration
	Reason     string // of Unplayable
}

// Play waits as long as the call takes and returns what it came to by the
// envelope's hints. Last is the number of the request's last recipient. Accepted
// recipients are in the ledger before it returns. The scenario panic panics.
func (m *Mock) Play(ctx context.Context, e *models.Envelope, last int, call common.Call) (Outcome, error) {
	p, reason := m.read(e.Meta)
	if reason != "" {
		return Outcome{Result: Unplayable, Reason: reason}, nil
	}
	if p.latency > 0 {
		_ = lifetime.Sleep(ctx, p.latency)
	}
	if ctx.Err() != nil {
		return Outcome{}, ctx.Err()
	}
	concerned := func(i int) bool { return p.recipients == nil || slices.Contains(p.recipients, i) }
	if call.Attempt > p.failures || !slices.ContainsFunc(call.Recipients, concerned) {
		p.scenario = Accepted
	}
	switch p.scenario {
	case Accepted:
		return m.accept(e.MessageID, call, -1)
	case "partial":
		return m.accept(e.MessageID, call, last)
	case "rate_limited":
		return Outcome{Result: p.scenario, RetryAfter: p.retryAfter}, nil
	case "timeout":
		<-ctx.Done()
		return Outcome{}, ctx.Err()
	case "panic":
		panic("mock provider: scenario panic")
	}
	return Outcome{Result: p.scenario}, nil
}

// accept accepts all recipients of a call but the refused one, which is -1 for none.
func (m *Mock) accept(id string, call common.Call, refused int) (Outcome, error) {
	o := Outcome{Result: Accepted}
	for _, recipient := range call.Recipients {
		if recipient == refused {
			o.Refused = []int{recipient}
			continue
		}
		if err := m.write(id, call.Attempt, recipient); err != nil {
			return Outcome{}, err
		}
	}
	return o, nil
}

// write appends one line with one write, so that the lines of a killed worker
// and of its successor do not mix.
func (m *Mock) write(id string, attempt, recipient int) error {
	if m.ledger == nil {
		return nil
	}
	line := fmt.Sprintf("%s %s %d %d\n", time.Now().UTC().Format(time.RFC3339Nano), id, attempt, recipient)
	if _, err := m.ledger.WriteString(line); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// part is the role that a message's hints ask for.
type part struct {
	scenario   string
	failures   int // attempts that fail before success
	latency    time.Duration
	retryAfter time.Duration
	recipients []int // whom the scenario is for; nil means everybody
}

func (m *Mock) read(hints map[string]string) (p part, reason string) {
	p = part{scenario: cmp.Or(hints["scenario"], Accepted), failures: math.MaxInt, latency: m.latency}
	switch p.scenario {
	case Accepted, "transient", "permanent", "rate_limited", "timeout", "unknown", "partial", "panic":
	default:
		return p, "mock: unknown scenario"
	}
	if s, ok := hints["scenario_failures"]; ok {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return p, "mock: scenario_failures is not a number"
		}
		p.failures = n
	}
	if s, ok := hints["scenario_recipients"]; ok {
		for number := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(number)
			if err != nil {
				return p, "mock: scenario_recipients is not a list of numbers"
			}
			p.recipients = append(p.recipients, n)
		}
	}
	return p, cmp.Or(
		millis(hints, "scenario_latency_ms", &p.latency),
		millis(hints, "scenario_retry_after_ms", &p.retryAfter),
	)
}

func millis(hints map[string]string, name string, dst *time.Duration) (reason string) {
	s, ok := hints[name]
	if !ok {
		return ""
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return "mock: " + name + " is not a number"
	}
	*dst = time.Duration(n) * time.Millisecond
	return ""
}
