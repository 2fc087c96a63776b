package request

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/models"
)

// token reads the next token. After a syntax error it does nothing, as all that
// reads.
func (r *Reader) token() {
	if r.fatal {
		return
	}
	if _, err := r.dec.ReadToken(); err != nil {
		r.syntax(err)
	}
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
	r.token()
	for !r.fatal && r.dec.PeekKind() != '}' {
		if name := r.text(); !r.fatal {
			member(name)
		}
	}
	r.token()
}

// text reads a string that comes next.
func (r *Reader) text() string {
	if r.fatal {
		return ""
	}
	quoted, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
		return ""
	}
	plain := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(plain, '\\') >= 0 {
		unquoted, err := jsontext.AppendUnquote(nil, quoted)
		if err != nil {
			r.syntax(err)
			return ""
		}
		return string(unquoted)
	}
	if word, ok := words[string(plain)]; ok {
		return word // without a copy of it for each message
	}
	return string(plain)
}

// words are the texts that nearly every request has.
//
//nolint:gochecknoglobals // a constant, if a map could be one: each token is looked up
var words = func() map[string]string {
	m := map[string]string{}
	for _, word := range []string{
		"message_id", "channel", "tenant_id", "trace_id", "created_at", "meta", "from", "to", "cc", "bcc", "subject", "body",
		"type", "content", "media_type", string(models.Email), string(models.SMS), string(models.WhatsApp),
		models.BodyText, models.BodyHTML, models.BodyTemplate, models.BodyMedia,
	} {
		m[word] = word
	}
	return m
}()

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
		r.addAt(path, "wrong type, want "+want)
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
func (r *Reader) Content(path string, dst *string) { *dst = r.textAt(same(path), true) }

// textAt reads a string, or returns "" for what is none.
func (r *Reader) textAt(path func() string, nullable bool) string {
	if !r.expect('"', path, "a string", nullable) {
		return ""
	}
	return r.text()
}

// Strings reads a list of trimmed texts. Of one that is far beyond its limit
// it reads no more than violations are listed, and counts the rest for List.
func (r *Reader) Strings(path string, dst *[]string) {
	if !r.expect('[', same(path), "an array of strings", true) {
		return
	}
	r.token()
	i := 0
	for ; !r.fatal && r.dec.PeekKind() != ']'; i++ {
		if i >= r.keep {
			r.skip()
			continue
		}
		text := r.textAt(func() string { return index(path, i) }, false)
		*dst = append(*dst, strings.TrimSpace(text))
	}
	if i > r.keep {
		if r.long == nil {
			r.long = map[string]int{}
		}
		r.long[path] = i
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
		path := func() string { return MetaPath(name) }
		if _, twice := values[name]; twice {
			r.addAt(path, "repeated but for white space")
		}
		values[name] = strings.TrimSpace(r.textAt(path, false))
	})
	if len(values) > 0 {
		*dst = values
	}
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// MetaPath names an entry of meta. A key is the producer's own text, so a
// long one is shortened.
func MetaPath(key string) string {
	return "meta[" + strconv.Quote(models.CutRunes(key, 64)) + "]"
}
