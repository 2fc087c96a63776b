// Package ops is what msgctl does with requests: it makes, checks and sends
// them, and follows them to their outcomes.
package ops

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// Scenario is a kind of sample request: what its mock provider will do, or
// what is wrong with it.
type Scenario struct {
	Name string
	Meta map[string]string // hints for the mock provider

	Tenant string // empty: the usual one

	edit func(m map[string]any)
	many bool // several recipients
	raw  string
}

// Scenarios returns every kind of sample request.
func Scenarios() []Scenario {
	hint := func(pairs ...string) map[string]string {
		meta := map[string]string{"campaign": "sample"}
		for pair := range slices.Chunk(pairs, 2) {
			meta[pair[0]] = pair[1]
		}
		return meta
	}
	return []Scenario{
		{Name: "success", Meta: hint()},
		{Name: "slow", Meta: hint("scenario_latency_ms", "300")},
		{Name: "transient-once", Meta: hint("scenario", "transient", "scenario_failures", "1")},
		{Name: "transient", Meta: hint("scenario", "transient")},
		{Name: "rate-limited", Meta: hint("scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", "800")},
		{Name: "timeout-once", Meta: hint("scenario", "timeout", "scenario_failures", "1")},
		{Name: "permanent", Meta: hint("scenario", "permanent")},
		{Name: "partial", Meta: hint("scenario", "partial"), many: true},
		{Name: "unknown", Meta: hint("scenario", "unknown")},
		{Name: "panic", Meta: hint("scenario", "panic", "scenario_failures", "1")},
		{Name: "invalid", Meta: hint(), edit: func(m map[string]any) {
			m["from"], m["to"] = "nobody", []string{}
		}},
		{Name: "not-json", raw: "this is not a request"},
		{Name: "timeout", Meta: hint("scenario", "timeout")},
	}
}

// Mixed is the scenario name that means each scenario in turn.
const Mixed = "mixed"

// ScenarioNamed returns the scenario of a name, in which an underscore
// counts as a hyphen. The error lists the known names.
func ScenarioNamed(name string) (Scenario, error) {
	var names []string
	for _, s := range Scenarios() {
		if s.Name == strings.ReplaceAll(name, "_", "-") {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("scenario %q: want one of %s", name, strings.Join(names, ", "))
}

// Valid reports whether its requests are ones that a worker takes.
func (s Scenario) Valid() bool { return s.raw == "" && s.edit == nil }

// with returns the scenario with further entries of meta, which win.
func (s Scenario) with(meta map[string]string) Scenario {
	all := map[string]string{}
	maps.Copy(all, s.Meta)
	maps.Copy(all, meta)
	s.Meta = all
	return s
}

// Request is one sample request, ready to be produced. Its JSON names it.
type Request struct {
	Channel   models.Channel `json:"channel"`
	Scenario  string         `json:"scenario"`
	MessageID string         `json:"message_id"`
	Value     []byte         `json:"-"`
	Trace     string         `json:"-"` // traceparent header
}

// Record returns the request as a record of a topic.
func (r *Request) Record(topic string) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Key: []byte(r.MessageID), Value: r.Value,
		Headers: []kgo.RecordHeader{{Key: models.HeaderTraceParent, Value: []byte(r.Trace)}},
	}
}

// Sample makes request number n of a channel in a scenario.
func Sample(channel models.Channel, s Scenario, n int) (Request, error) {
	var trace [24]byte
	_, _ = rand.Read(trace[:]) // never fails: the documentation says so
	r := Request{Channel: channel, Scenario: s.Name, MessageID: NewID(), Trace: fmt.Sprintf("00-%x-%x-01", trace[:16], trace[16:])}
	if s.raw != "" {
		r.Value = []byte(s.raw)
		return r, nil
	}
	m := map[string]any{
		"message_id": r.MessageID, "channel": channel, "tenant_id": cmp.Or(s.Tenant, "acme"), "created_at": time.Now().UTC(), "meta": s.Meta,
	}
	recipients := 1
	if s.many {
		recipients = 3
	}
	var to []string
	for i := range recipients {
		if channel == models.Email {
			to = append(to, fmt.Sprintf("user%d.%d@example.com", n, i))
		} else {
			to = append(to, fmt.Sprintf("+1555%06d%d", n%1000000, i))
		}
	}
	m["to"], m["from"] = to, "+15550000000"
	m["body"] = map[string]string{"type": "text", "content": fmt.Sprintf("Your one-time code is %06d", n%1000000)}
	switch channel {
	case models.Email:
		m["from"], m["subject"] = "noreply@example.com", "Sample message"
	case models.WhatsApp:
		m["body"], m["meta"] = sampleTemplate(s.Meta, n)
	case models.SMS:
	}
	if s.edit != nil {
		s.edit(m)
	}
	var err error
	if r.Value, err = json.Marshal(m, json.Deterministic(true)); err != nil {
		return r, fmt.Errorf("make sample request: %w", err)
	}
	return r, nil
}

// sampleTemplate returns the body and the meta of a template: an order's, and
// every other time that of a one-time code, which its button copies.
func sampleTemplate(hints map[string]string, n int) (body, meta map[string]string) {
	name, variables := "order_update", map[string]string{"template.1": fmt.Sprintf("A%05d", n%100000)}
	if n%2 == 1 {
		code := fmt.Sprintf("%06d", n%1000000)
		name, variables = "one_time_code", map[string]string{"template.1": code, "template.button.0": code}
	}
	maps.Copy(variables, hints)
	return map[string]string{"type": "template", "content": name}, variables
}

// NewID returns a random UUID of version 4 (RFC 9562, 5.4).
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // as above
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
