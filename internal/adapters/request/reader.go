// Package request reads and checks requests: their JSON, and the envelope that
// all channels share.
package request

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

// maxViolations bounds how many violations are listed: a hostile payload may
// have millions.
const maxViolations = 100

// Reader reads one request strictly and in one pass, and gathers everything
// that is wrong with it: one JSON object in UTF-8, no repeated names, no lone
// surrogates, nothing behind it. null counts as absent. Members that nobody
// asks for are skipped. A wrong type in one place hides nothing elsewhere.
type Reader struct {
	buf   bytes.Buffer
	dec   jsontext.Decoder
	rec   *models.Record
	list  []string       // violations
	more  int            // violations beyond maxViolations
	keep  int            // entries of a list that are read; the others are counted
	long  map[string]int // lengths of the lists that have more, by path; nil as a rule
	fatal bool           // the JSON ended in a syntax error; nothing more can be read
	env   *models.Envelope
	id    string // message id as read, before its check
	time  string // created_at as read
	ch    string // channel as read
}

// Readers lends out Readers, so that a message does not pay for a new one.
// The zero Readers works.
type Readers struct{ pool sync.Pool }

// Read reads the record's members. It calls member for each one at the top
// that the envelope does not know; member reads it and returns true, or
// returns false to have it skipped. Then it calls check, unless the JSON was
// broken. The error is nil or *common.Violations.
func (p *Readers) Read(
	rec *models.Record, channel models.Channel, limits *Limits, env *models.Envelope,
	member func(r *Reader, name string) bool, check func(r *Reader),
) error {
	r, ok := p.pool.Get().(*Reader)
	if !ok {
		r = &Reader{}
	}
	defer p.pool.Put(r)
	r.begin(rec, env, limits)
	defer r.end()
	r.readRecord(limits, member)
	if !r.fatal {
		r.checkEnvelope(channel, limits)
		check(r)
	}
	return r.err()
}

func (r *Reader) begin(rec *models.Record, env *models.Envelope, limits *Limits) {
	r.rec, r.env = rec, env
	r.keep, r.long = limits.Recipients+maxViolations, nil
	r.list, r.more, r.fatal = nil, 0, false
	r.id, r.time, r.ch = "", "", ""
	r.buf = *bytes.NewBuffer(rec.Value)
	r.dec.Reset(&r.buf)
}

// end lets go of the record: a Reader in the pool must keep nothing alive.
func (r *Reader) end() {
	r.rec, r.env, r.list, r.buf = nil, nil, nil, bytes.Buffer{}
	r.dec.Reset(&r.buf)
}

func (r *Reader) readRecord(limits *Limits, member func(*Reader, string) bool) {
	value := r.rec.Value
	if len(value) > limits.MessageBytes {
		r.Add("record", fmt.Sprintf("%d bytes, at most %d", len(value), limits.MessageBytes))
	}
	switch {
	case value == nil:
		r.broken("null value")
	case len(models.TrimSpace(value)) == 0:
		r.broken("empty")
	case models.TooDeep(value):
		r.broken(fmt.Sprintf("nested deeper than %d", models.MaxDepth))
	case r.dec.PeekKind() != '{' && r.dec.PeekKind() != 0:
		r.broken("not a JSON object")
	default:
		r.object(func(name string) {
			if !r.envelopeMember(name) && !member(r, name) {
				r.skip()
			}
		})
		r.atEnd()
	}
}

func (r *Reader) atEnd() {
	if r.fatal {
		return
	}
	if _, err := r.dec.ReadToken(); err == nil {
		r.broken(fmt.Sprintf("not one JSON object: more data at byte %d", r.dec.InputOffset()))
	} else if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		r.syntax(err)
	}
}

// full reports whether a further violation is only counted, and counts it.
func (r *Reader) full() bool {
	if len(r.list) < maxViolations {
		return false
	}
	r.more++
	return true
}

// Add notes a violation. The text must not quote the value.
func (r *Reader) Add(path, text string) { r.addAt(same(path), text) }

// addAt is Add for a path that is not made where it would only be counted: a
// hostile payload may ask for millions.
func (r *Reader) addAt(path func() string, text string) {
	if !r.full() {
		r.list = append(r.list, path()+": "+text)
	}
}

// addFirst is Add for what must be listed, also where entries without number
// have filled the list.
func (r *Reader) addFirst(path, text string) {
	if len(r.list) < maxViolations {
		r.Add(path, text)
		return
	}
	r.list = slices.Insert(r.list[:maxViolations-1], 0, path+": "+text)
	r.more++
}

// Flagged reports whether there is a violation of exactly that path.
func (r *Reader) Flagged(path string) bool {
	return slices.ContainsFunc(r.list, func(v string) bool { return strings.HasPrefix(v, path+":") })
}

// Required notes that a text is missing, unless its path is flagged already.
func (r *Reader) Required(path, text string) bool {
	if text == "" && !r.Flagged(path) {
		r.Add(path, "is required")
	}
	return text != ""
}

func (r *Reader) err() error {
	if len(r.list) == 0 {
		return nil
	}
	if r.more > 0 {
		r.list = append(r.list, fmt.Sprintf("and %d more", r.more))
	}
	v := &common.Violations{List: r.list, MessageID: r.id, TraceID: r.env.TraceID, TenantID: r.env.TenantID}
	if r.fatal {
		v.MessageID, v.TraceID, v.TenantID = recoverIDs(r.rec.Value)
	}
	if !util.IsUUIDv4(v.MessageID) {
		v.MessageID = ""
	}
	return v
}

// recoverIDs looks for the ids of a payload that is not acceptable JSON as a whole:
// truncated, with repeated names, or worse. It reads as far as it can. An id
// that is given twice with two values is left out.
func recoverIDs(value []byte) (messageID, traceID, tenantID string) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return "", "", ""
	}
	found := map[string]string{}
	for dec.PeekKind() == '"' {
		t, err := dec.ReadToken()
		if err != nil {
			break
		}
		name := t.String()
		value, err := dec.ReadValue()
		if err != nil {
			break
		}
		if value.Kind() != '"' || name != "message_id" && name != "trace_id" && name != "tenant_id" {
			continue
		}
		unquoted, _ := jsontext.AppendUnquote(nil, value) // what is not UTF-8 is replaced
		text := strings.TrimSpace(string(unquoted))
		if before, twice := found[name]; twice && before != text {
			text = ""
		}
		found[name] = text
	}
	return found["message_id"], found["trace_id"], found["tenant_id"]
}

// broken ends the reading: the record is not a request at all.
func (r *Reader) broken(text string) {
	r.Add("record", text)
	r.fatal = true
}

func (r *Reader) syntax(err error) {
	at := r.dec.InputOffset()
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = s.ByteOffset
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		r.broken(fmt.Sprintf("repeated member name at byte %d", at))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		r.broken("JSON ends too early")
	default:
		r.broken(fmt.Sprintf("not valid JSON in UTF-8 at byte %d", at))
	}
}
