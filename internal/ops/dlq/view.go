package dlq

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/patch"
)

// View is a dead letter without its request, as it is printed.
type View struct {
	MessageID     string             `json:"message_id"`
	Channel       models.Channel     `json:"channel"`
	Record        string             `json:"record"`          // TOPIC/PARTITION/OFFSET
	Time          time.Time          `json:"time,omitzero"`   // absent where RFC 3339 cannot write it
	Source        string             `json:"source,omitzero"` // TOPIC/PARTITION/OFFSET
	TenantID      string             `json:"tenant_id,omitzero"`
	FailureType   models.FailureType `json:"failure_type"`
	Attempts      int                `json:"attempts"`
	LastError     string             `json:"last_error,omitzero"`
	FirstFailedAt time.Time          `json:"first_failed_at"`
	LastAttemptAt time.Time          `json:"last_attempt_at"`
	TraceID       string             `json:"trace_id,omitzero"`
	Meta          map[string]string  `json:"meta,omitzero"`
	Replays       int                `json:"replay_count,omitzero"`
	Batch         string             `json:"replay_batch,omitzero"`
}

// View returns the letter without its request.
func (l *Letter) View() View {
	return View{
		MessageID: l.MessageID, Channel: l.Channel, Record: l.At.String(), Time: writable(l.Time), Source: l.Source.String(),
		TenantID: l.TenantID, FailureType: l.FailureType, Attempts: l.Attempts, LastError: l.LastError,
		FirstFailedAt: l.FirstFailedAt, LastAttemptAt: l.LastAttemptAt, TraceID: l.TraceID, Meta: l.Meta,
		Replays: l.Replays, Batch: l.Batch,
	}
}

// FullView is a dead letter with everything, as JSON.
type FullView struct {
	View `json:",inline"`

	Headers  []Header       `json:"headers"`
	Original jsontext.Value `json:"original_message"`
}

// Header is a record header as text.
type Header struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// FullView returns everything there is of the letter.
func (l *Letter) FullView() FullView {
	v := FullView{View: l.View(), Original: l.Original()}
	for _, h := range l.Headers {
		v.Headers = append(v.Headers, Header{h.Key, string(h.Value)})
	}
	return v
}

// writable returns at, or the zero time where it lies outside of the years that
// RFC 3339 can write: a record may have any timestamp.
func writable(at time.Time) time.Time {
	if y := at.Year(); y < 0 || y > 9999 {
		return time.Time{}
	}
	return at
}

// Export writes the letter as one line: the request as it was, with a member
// dead_letter that holds its View and that workers ignore. A request that is no JSON object, or
// is not in the letter, has nothing but that member; original_base64 there
// has its bytes.
func (l *Letter) Export(w io.Writer) error {
	value, err := l.OriginalMessage.Bytes()
	if err != nil {
		return fmt.Errorf("export %s: %w", l.At, err)
	}
	member := struct {
		View `json:",inline"`

		Base64 []byte `json:"original_base64,omitzero"`
	}{View: l.View()}
	request := jsontext.Value(bytes.Clone(value))
	if !models.IsObject(value) {
		member.Base64, request = value, jsontext.Value("{}")
	}
	tail, err := json.Marshal(member)
	if err := errors.Join(err, request.Compact()); err != nil {
		return fmt.Errorf("export %s: %w", l.At, err)
	}
	line, err := patch.Member("dead_letter", tail).Apply(request)
	if err != nil {
		return fmt.Errorf("export %s: %w", l.At, err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// Original returns the JSON value that stands for the request in the letter:
// the request itself, or a string with the base64 of its bytes.
func (l *Letter) Original() jsontext.Value {
	value, err := l.OriginalMessage.Bytes()
	if err == nil && models.IsObject(value) {
		return value
	}
	return jsontext.Value(`"` + base64.StdEncoding.EncodeToString(value) + `"`)
}
