// Package mock plays a provider for all channels: what a call comes to is
// decided by hints in the request's meta, and by nothing else.
package mock

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options of a Mock. The zero Options answer at once and keep no ledger.
type Options struct {
	Latency time.Duration // time that each call takes
	Ledger  string        // file that gets a line for each accepted recipient; empty for none
}

// Mock plays scenarios. It is safe for concurrent use.
type Mock struct {
	latency time.Duration

	mu     sync.Mutex
	ledger *os.File // nil when none is kept
}

// New makes a mock. It opens the ledger for appending, so that one file
// outlives its writers and may have several.
func New(o Options) (*Mock, error) {
	m := &Mock{latency: o.Latency}
	if o.Ledger == "" {
		return m, nil
	}
	var err error
	m.ledger, err = os.OpenFile(o.Ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
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

// Call is one provider call as the mock sees it.
type Call struct {
	MessageID  string
	Attempt    int
	Recipients []int             // their numbers in the request
	Last       int               // number of the request's last recipient
	Hints      map[string]string // the request's meta
}

// Result is what a call came to.
type Result int

// The results, named after their scenarios. A call that runs into its time
// limit has none: Play returns the context's error.
const (
	Accepted Result = iota
	Transient
	Permanent
	RateLimited
	Unknown
	Unplayable // the hints make no sense: refused for good
)

// Outcome is a Result and what goes with it.
type Outcome struct {
	Result     Result
	Refused    []int // of an accepted call: recipients refused for good all the same
	RetryAfter time.Duration
	Reason     string // of Unplayable
}

// Play waits as long as the call takes and returns what it came to. Accepted
// recipients are in the ledger before it returns. The scenario panic panics.
func (m *Mock) Play(ctx context.Context, c Call) (Outcome, error) {
	p, reason := m.read(c.Hints)
	if reason != "" {
		return Outcome{Result: Unplayable, Reason: reason}, nil
	}
	if err := wait(ctx, p.latency); err != nil {
		return Outcome{}, err
	}
	if c.Attempt > p.failures || !p.concerns(c.Recipients) {
		p.scenario = "success"
	}
	switch p.scenario {
	case "transient":
		return Outcome{Result: Transient}, nil
	case "permanent":
		return Outcome{Result: Permanent}, nil
	case "rate_limited":
		return Outcome{Result: RateLimited, RetryAfter: p.retryAfter}, nil
	case "unknown":
		return Outcome{Result: Unknown}, nil
	case "timeout":
		<-ctx.Done()
		return Outcome{}, ctx.Err()
	case "panic":
		panic("mock provider: scenario panic")
	}
	return m.accept(c, p.scenario == "partial")
}

func (m *Mock) accept(c Call, partial bool) (Outcome, error) {
	var o Outcome
	for _, recipient := range c.Recipients {
		if partial && recipient == c.Last {
			o.Refused = append(o.Refused, recipient)
			continue
		}
		if err := m.write(c, recipient); err != nil {
			return Outcome{}, err
		}
	}
	return o, nil
}

// write appends one line with one write, so that the lines of a killed worker
// and of its successor do not mix.
func (m *Mock) write(c Call, recipient int) error {
	if m.ledger == nil {
		return nil
	}
	line := fmt.Sprintf("%s %s %d %d\n", time.Now().UTC().Format(time.RFC3339Nano), c.MessageID, c.Attempt, recipient)
	m.mu.Lock()
	defer m.mu.Unlock()
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

// concerns reports whether the scenario is for a call to these recipients.
func (p part) concerns(recipients []int) bool {
	return p.recipients == nil || slices.ContainsFunc(recipients, func(i int) bool { return slices.Contains(p.recipients, i) })
}

func (m *Mock) read(hints map[string]string) (p part, reason string) {
	p = part{scenario: "success", failures: int(^uint(0) >> 1), latency: m.latency}
	if s := hints["scenario"]; s != "" {
		p.scenario = s
	}
	switch p.scenario {
	case "success", "transient", "permanent", "rate_limited", "timeout", "unknown", "partial", "panic":
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

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
