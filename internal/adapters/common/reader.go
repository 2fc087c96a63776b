package common

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/models"
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
	list  []string // violations
	more  int      // violations beyond maxViolations
	fatal bool     // the JSON ended in a syntax error; nothing more can be read
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
// broken. The error is nil or *Violations.
func (p *Readers) Read(
	rec *models.Record, channel models.Channel, limits *Limits, env *models.Envelope,
	member func(r *Reader, name string) bool, check func(r *Reader),
) error {
	r, ok := p.pool.Get().(*Reader)
	if !ok {
		r = &Reader{}
	}
	defer p.pool.Put(r)
	r.begin(rec, env)
	defer r.end()
	r.readRecord(limits, member)
	if !r.fatal {
		r.checkEnvelope(channel, limits)
		check(r)
	}
	return r.err()
}

func (r *Reader) begin(rec *models.Record, env *models.Envelope) {
	r.rec, r.env = rec, env
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
	case len(bytes.TrimSpace(value)) == 0:
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

// Add notes a violation. The text must not quote the value.
func (r *Reader) Add(path, text string) {
	if len(r.list) == maxViolations {
		r.more++
		return
	}
	r.list = append(r.list, path+": "+text)
}

// Flagged reports whether there is a violation of exactly that path.
func (r *Reader) Flagged(path string) bool {
	for _, v := range r.list {
		if len(v) > len(path) && v[len(path)] == ':' && v[:len(path)] == path {
			return true
		}
	}
	return false
}

// Required notes that a text is missing, unless its path is flagged already.
func (r *Reader) Required(path, text string) bool {
	if text != "" {
		return true
	}
	if !r.Flagged(path) {
		r.Add(path, "is required")
	}
	return false
}

func (r *Reader) err() error {
	if len(r.list) == 0 {
		return nil
	}
	if r.more > 0 {
		r.list = append(r.list, fmt.Sprintf("and %d more", r.more))
	}
	v := &Violations{List: r.list, MessageID: r.id, TraceID: r.env.TraceID, TenantID: r.env.TenantID}
	if r.fatal {
		v.MessageID, v.TraceID, v.TenantID = glean(r.rec.Value)
	}
	if !usable(v.MessageID) {
		v.MessageID = ""
	}
	return v
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

// token reads the next token, or returns false after a syntax error.
func (r *Reader) token() (jsontext.Token, bool) {
	if r.fatal {
		return jsontext.Token{}, false
	}
	t, err := r.dec.ReadToken()
	if err != nil {
		r.syntax(err)
		return jsontext.Token{}, false
	}
	return t, true
}

func (r *Reader) skip() {
	if r.fatal {
		return
	}
	if err := r.dec.SkipValue(); err != nil {
		r.syntax(err)
	}
}

// object reads an object that begins here, calling member for each name with
// its value next.
func (r *Reader) object(member func(name string)) {
	if _, ok := r.token(); !ok {
		return
	}
	for !r.fatal && r.dec.PeekKind() != '}' {
		name, ok := r.token()
		if !ok {
			return
		}
		member(name.String())
	}
	r.token()
}

// expect reports whether a value of that kind comes next. Another one is
// skipped, and is a violation unless it is a null that may be there.
func (r *Reader) expect(kind jsontext.Kind, path func() string, want string, nullable bool) bool {
	if r.fatal {
		return false
	}
	got := r.dec.PeekKind()
	if got == kind {
		return true
	}
	r.skip()
	if !r.fatal && (got != 'n' || !nullable) {
		r.Add(path(), "wrong type, want "+want)
	}
	return false
}

func same(path string) func() string { return func() string { return path } }

// String reads a trimmed text.
func (r *Reader) String(path string, dst *string) {
	r.Content(path, dst)
	*dst = strings.TrimSpace(*dst)
}

// Content reads a text as it is.
func (r *Reader) Content(path string, dst *string) {
	if r.expect('"', same(path), "a string", true) {
		if t, ok := r.token(); ok {
			*dst = t.String()
		}
	}
}

// Strings reads a list of trimmed texts.
func (r *Reader) Strings(path string, dst *[]string) {
	if !r.expect('[', same(path), "an array of strings", true) {
		return
	}
	r.token()
	for i := 0; !r.fatal && r.dec.PeekKind() != ']'; i++ {
		text := ""
		if r.expect('"', func() string { return index(path, i) }, "a string", false) {
			if t, ok := r.token(); ok {
				text = strings.TrimSpace(t.String())
			}
		}
		*dst = append(*dst, text)
	}
	r.token()
}

// Body reads the body object.
func (r *Reader) Body(dst *models.Body) {
	if !r.expect('{', same("body"), "an object", true) {
		return
	}
	r.object(func(name string) {
		switch name {
		case "type":
			r.String("body.type", &dst.Type)
		case "content":
			r.Content("body.content", &dst.Content)
		case "media_type":
			r.String("body.media_type", &dst.MediaType)
		default:
			r.skip()
		}
	})
}

func (r *Reader) meta(dst *map[string]string) {
	if !r.expect('{', same("meta"), "an object of strings", true) {
		return
	}
	values := map[string]string{}
	r.object(func(name string) {
		name = strings.TrimSpace(name)
		if _, twice := values[name]; twice {
			r.Add(metaPath(name), "repeated but for white space")
		}
		value := ""
		if r.expect('"', func() string { return metaPath(name) }, "a string", false) {
			if t, ok := r.token(); ok {
				value = strings.TrimSpace(t.String())
			}
		}
		values[name] = value
	})
	if len(values) > 0 {
		*dst = values
	}
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// metaPath names an entry of meta. A key is the producer's own text, so a
// long one is shortened.
func metaPath(key string) string {
	return "meta[" + strconv.Quote(models.CutRunes(key, 64)) + "]"
}
