package ops

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// Draft is a request made of single values. Empty ones are left out.
type Draft struct {
	MessageID string            `json:"message_id,omitzero"`
	TenantID  string            `json:"tenant_id,omitzero"`
	TraceID   string            `json:"trace_id,omitzero"`
	Meta      map[string]string `json:"meta,omitempty"`
	From      string            `json:"from,omitzero"`
	To        []string          `json:"to,omitempty"`
	CC        []string          `json:"cc,omitempty"`
	BCC       []string          `json:"bcc,omitempty"`
	Subject   string            `json:"subject,omitzero"`
	Body      DraftBody         `json:"body"`
}

// DraftBody is the body of a Draft.
type DraftBody struct {
	Type      string `json:"type,omitzero"`
	Content   string `json:"content,omitzero"`
	MediaType string `json:"media_type,omitzero"`
}

// Encode returns the draft as JSON. An error is a text that is not UTF-8.
func (d *Draft) Encode() ([]byte, error) {
	value, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	return value, nil
}

// Fill gives a request what it may lack: a message id, its channel and the
// present time. What else it has stays as it is. A value that is no JSON object
// comes back unchanged, for a check to refuse it.
func Fill(value []byte, channel models.Channel) []byte {
	dec := jsontext.NewDecoder(bytes.NewReader(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return value
	}
	names := []string{"message_id", "channel", "created_at"}
	texts := []string{NewID(), string(channel), time.Now().UTC().Format(time.RFC3339Nano)}
	given := map[string]bool{}
	var members []byte // as they are, repeated ones too
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			return value
		}
		name := token.String()
		content, err := dec.ReadValue()
		if err != nil {
			return value
		}
		if content.Kind() == 'n' && slices.Contains(names, name) {
			continue // null counts as absent
		}
		given[name] = true
		members = appendMember(members, name, content)
	}
	if _, err := dec.ReadToken(); err != nil || len(models.TrimSpace(value[dec.InputOffset():])) > 0 {
		return value
	}
	var all []byte
	for i, name := range names {
		if !given[name] {
			all = appendMember(all, name, strconv.AppendQuote(nil, texts[i]))
		}
	}
	return slices.Concat([]byte("{"), bytes.TrimSuffix(append(all, members...), []byte(",")), []byte("}"))
}

func appendMember(list []byte, name string, value []byte) []byte {
	list, _ = jsontext.AppendQuote(list, name) // its error tells of invalid UTF-8, which it replaces
	return append(append(append(list, ':'), value...), ',')
}

// Prepare fills requests in and checks all of them by the workers' rules. It
// returns either requests that can be sent, or all that is wrong with them;
// file is what the violations call their source.
func Prepare(c *config.Config, file string, inputs []Input) ([]Outgoing, []Violation) {
	check := Checker(c)
	var out []Outgoing
	var wrong []Violation
	for _, in := range inputs {
		filled := Input{in.Line, Fill(in.Value, models.Channel(c.Channel))}
		found, after := Inspect(check, file, in), Inspect(check, file, filled)
		if slices.ContainsFunc(found, byPath(wholeRecord)) {
			// The record as a whole is broken: report violations at the lines of
			// what was given, except those that filling in has resolved.
			found = slices.DeleteFunc(found, func(v Violation) bool { return !slices.ContainsFunc(after, byPath(v.Path)) })
		} else {
			in, found = filled, after
		}
		wrong = append(wrong, found...)
		if len(found) == 0 {
			out = append(out, Outgoing{check(&models.Record{Value: in.Value}).Envelope.MessageID, in.Value})
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return out, nil
}

func byPath(path string) func(Violation) bool {
	return func(v Violation) bool { return v.Path == path }
}
