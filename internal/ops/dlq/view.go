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
	v := FullView{View: l.View, Original: l.Original()}
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
// dead_letter that workers ignore. It holds the letter's View. A request that is
// no JSON object, or is not in the letter, has nothing but that member;
// original_base64 there has its bytes.
func (l *Letter) Export(w io.Writer) error {
	value, err := l.request.Bytes()
	if err != nil {
		return fmt.Errorf("export %s: %w", l.Record, err)
	}
	member := struct {
		View `json:",inline"`

		Base64 []byte `json:"original_base64,omitzero"`
	}{View: l.View}
	request := jsontext.Value(bytes.Clone(value))
	if !models.IsObject(value) {
		member.Base64, request = value, jsontext.Value("{}")
	}
	tail, err := json.Marshal(member)
	if err := errors.Join(err, request.Compact()); err != nil {
		return fmt.Errorf("export %s: %w", l.Record, err)
	}
	line, err := patch.Member("dead_letter", tail).Apply(request)
	if err != nil {
		return fmt.Errorf("export %s: %w", l.Record, err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// Original returns the JSON value that stands for the request in the letter:
// the request itself, or a string with the base64 of its bytes.
func (l *Letter) Original() jsontext.Value {
	value, err := l.request.Bytes()
	if err == nil && models.IsObject(value) {
		return value
	}
	return jsontext.Value(`"` + base64.StdEncoding.EncodeToString(value) + `"`)
}
