package load

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

const (
	idLen    = 36
	idPrefix = 24 // characters that all ids of a run share
	idDigits = idLen - idPrefix
)

// runID makes and knows the message ids of one run: UUIDs of version 4 whose
// first 24 characters are the run's, drawn by chance, and whose last 12 are
// the message's number. So a number needs no map to be found again.
type runID struct{ prefix string }

func newRunID() runID { return runID{ops.NewID()[:idPrefix]} }

// put writes the digits of number n over the end of an id.
func (r runID) put(id []byte, n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	hex.Encode(id[idPrefix:], b[8-idDigits/2:])
}

// number returns the number of an id, and false for one of no message of this
// run.
func (r runID) number(id []byte) (uint64, bool) {
	if len(id) != idLen || string(id[:idPrefix]) != r.prefix || bytes.ContainsAny(id, "ABCDEF") {
		return 0, false
	}
	n, err := strconv.ParseUint(string(id[idPrefix:]), 16, 64)
	return n, err == nil
}

// timeLayout has one width, so that a time can be written over another.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Payload is what the requests of a run are made of.
type Payload struct {
	Channel models.Channel
	Meta    map[string]string // hints for the mock provider; nil for none
	Size    int               // bytes of a request; zero is as small as it can be
	Body    int               // the most that body.content may have
}

// template is a request whose id and time are written anew for each message.
type template struct {
	value    []byte
	id, time int // where they begin
}

const (
	atTime  = `"created_at":"`
	padding = `,"padding":"` // a member that no worker reads
	padMin  = len(padding) + 1
)

// template makes the request of exactly p.Size bytes: body.content grows
// first, and a member that no worker reads takes what it cannot.
func (p Payload) template(run runID) (template, error) {
	value, err := p.request(run, 0, 0)
	if err != nil {
		return template{}, err
	}
	if p.Size != 0 && p.Size < len(value) {
		return template{}, fmt.Errorf("a request of the %s channel has at least %d bytes, not %d", p.Channel, len(value), p.Size)
	}
	body, rest := max(p.Size-len(value), 0), 0
	if most := p.Body - len(content); body > most {
		rest = max(body-most, padMin) // where body gives way: a member has a least size
		body -= rest
	}
	if value, err = p.request(run, body, rest); err != nil {
		return template{}, err
	}
	return template{value, bytes.Index(value, []byte(run.prefix)), bytes.Index(value, []byte(atTime)) + len(atTime)}, nil
}

// Least returns the bytes of the smallest request. The error means that Meta is
// not UTF-8.
func (p Payload) Least() (int, error) {
	value, err := p.request(newRunID(), 0, 0)
	return len(value), err
}

// Check returns an error where no request has the wanted size.
func (p Payload) Check() error {
	_, err := p.template(newRunID())
	return err
}

// content is the shortest body.
const content = "load"

// request makes a request whose body has that many bytes more than content,
// and a padding of so many bytes in all.
func (p Payload) request(run runID, body, rest int) ([]byte, error) {
	from, to, more := "+15550000000", "+15550000001", ""
	if p.Channel == models.Email {
		from, to, more = "noreply@example.com", "user@example.com", `,"subject":"Load"`
	}
	if len(p.Meta) > 0 {
		meta, err := json.Marshal(p.Meta, json.Deterministic(true))
		if err != nil {
			return nil, fmt.Errorf("make request: %w", err)
		}
		more += `,"meta":` + string(meta)
	}
	if rest > 0 {
		more += padding + strings.Repeat("x", rest-padMin) + `"`
	}
	return fmt.Appendf(nil, `{"message_id":"%s%s","channel":"%s",%s%s","from":"%s","to":["%s"],"body":{"content":"%s%s"}%s}`,
		run.prefix, strings.Repeat("0", idDigits), p.Channel, atTime, time.Now().UTC().Format(timeLayout), from, to,
		content, strings.Repeat("x", body), more), nil
}
