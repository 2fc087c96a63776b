package ops

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/adapters/sms"
	"messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// Check is what the workers' own rules say of a request.
type Check struct {
	Envelope   models.Envelope // of a valid request
	Violations []string        // each begins with the field's path; empty means valid
}

// Checker returns the check of a channel's requests: the very code that a
// worker of these settings runs. The function is safe for concurrent use.
func Checker(c *config.Config) func(rec *models.Record) Check {
	limits := request.Limits(c.Limits)
	switch models.Channel(c.Channel) {
	case models.Email:
		return checkBy(email.New(nil, limits, 0).Decode)
	case models.SMS:
		return checkBy(sms.New(nil, limits, 0).Decode)
	default:
		return checkBy(whatsapp.New(nil, limits, 0).Decode)
	}
}

func checkBy(decode func(*models.Record) (common.Delivery, error)) func(*models.Record) Check {
	return func(rec *models.Record) Check {
		d, err := decode(rec)
		wrong, ok := errors.AsType[*common.Violations](err)
		switch {
		case err == nil:
			return Check{Envelope: *d.Envelope}
		case ok:
			return Check{Violations: wrong.List}
		}
		return Check{Violations: []string{"record: " + err.Error()}}
	}
}

// Violation is one thing that is wrong with a request.
type Violation struct {
	File string `json:"file,omitzero"`
	Line int    `json:"line,omitzero"` // where the request begins, or its JSON breaks
	Path string `json:"path"`          // of the field; record for the whole
	What string `json:"what"`
}

// wholeRecord is the path of what is wrong with a request as a whole.
const wholeRecord = "record"

// String returns FILE:LINE: path: what, or what there is of it.
func (v Violation) String() string {
	text := v.Path + ": " + v.What
	if v.File == "" {
		return text
	}
	return fmt.Sprintf("%s:%d: %s", v.File, v.Line, text)
}

// Inspect returns what the workers' check says of an input; none means valid.
func Inspect(check func(*models.Record) Check, file string, in Input) []Violation {
	if v, broken := brokenJSON(in); broken {
		v.File = file
		return []Violation{v}
	}
	var list []Violation
	for _, text := range check(&models.Record{Value: in.Value}).Violations {
		path, what := splitViolation(text)
		list = append(list, Violation{file, in.Line, path, what})
	}
	return list
}

// Validation is what the workers' check says of the requests of a text.
type Validation struct {
	Requests   int         `json:"requests"`
	Invalid    int         `json:"invalid"`
	Violations []Violation `json:"violations"`
}

// Validate checks all requests that r holds by the rules of the settings'
// channel. Name is what violations and errors call r.
func Validate(c *config.Config, name string, r io.Reader) (*Validation, error) {
	check := Checker(c)
	v := &Validation{Violations: []Violation{}}
	for input, err := range Inputs(r) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		found := Inspect(check, name, input)
		if v.Requests++; len(found) > 0 {
			v.Invalid++
		}
		v.Violations = append(v.Violations, found...)
	}
	if v.Requests == 0 {
		return nil, NoRequestError(name)
	}
	return v, nil
}

// NoRequestError is the error of an input, which it names, without a request.
func NoRequestError(name string) error {
	return fmt.Errorf("%s holds no request: want JSON objects", name)
}

// splitViolation parts a violation into path and text. A key of meta stands
// quoted in its path and may hold what parts them.
func splitViolation(text string) (path, what string) {
	after := 0
	if strings.HasPrefix(text, `meta["`) {
		after = max(strings.Index(text, `"]: `), 0)
	}
	path, what, _ = strings.Cut(text[after:], ": ")
	return text[:after] + path, what
}

// brokenJSON returns where an input ends to be JSON. Repeated names and wrong
// UTF-8 are left to the workers' check.
func brokenJSON(in Input) (Violation, bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(in.Value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		err := dec.SkipValue()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return Violation{}, false
		}
		if err == nil {
			continue
		}
		s, ok := errors.AsType[*jsontext.SyntacticError](err)
		if !ok || errors.Is(err, io.ErrUnexpectedEOF) {
			return Violation{Line: in.Line, Path: wholeRecord, What: "not valid JSON: a bracket or a quote is not closed"}, true
		}
		at, why := s.ByteOffset, s.Err.Error()
		before := in.Value[:min(int(at), len(in.Value))]
		line, column := bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n')
		return Violation{Line: in.Line + line, Path: wholeRecord, What: fmt.Sprintf("not valid JSON at column %d: %s", column, why)}, true
	}
}
