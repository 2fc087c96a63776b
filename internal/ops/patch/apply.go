package patch

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Apply returns the object with the edit made. The input stays as it is. What
// the path needs and is not there, or is null, is made: a member at the end of
// its object, an entry at the end of its array.
func (e Edit) Apply(object []byte) ([]byte, error) {
	if !jsontext.Value(object).IsValid() {
		return nil, fmt.Errorf("edit of %s: the request is not valid JSON", e.text)
	}
	out, err := set(object, e.path, e.value)
	if err != nil {
		return nil, fmt.Errorf("edit of %s: %w", e.text, err)
	}
	return out, nil
}

// String returns the path. The value may be an address or a body.
func (e Edit) String() string { return e.text }

// set returns value with what lies at path replaced.
func set(value []byte, path []step, to jsontext.Value) ([]byte, error) {
	if len(path) == 0 {
		return to, nil
	}
	where, err := locate(value, path[0])
	if err != nil {
		return nil, err
	}
	if where.whole { // null, or nothing: make the container
		made, err := made(path, to)
		return made, err
	}
	if where.found {
		inner, err := set(value[where.from:where.to], path[1:], to)
		if err != nil {
			return nil, err
		}
		return splice(value, where.from, where.to, inner), nil
	}
	inner, err := made(path[1:], to)
	if err != nil {
		return nil, err
	}
	if path[0].name != "" {
		inner = slices.Concat(quoted(path[0].name), []byte(":"), inner)
	}
	if !where.empty {
		inner = slices.Concat([]byte(","), inner)
	}
	return splice(value, where.from, where.from, inner), nil
}

// made returns a new value that contains only what path leads to.
func made(path []step, to jsontext.Value) ([]byte, error) {
	if len(path) == 0 {
		return to, nil
	}
	inner, err := made(path[1:], to)
	if err != nil {
		return nil, err
	}
	if name := path[0].name; name != "" {
		return slices.Concat([]byte("{"), quoted(name), []byte(":"), inner, []byte("}")), nil
	}
	if path[0].index != 0 {
		return nil, fmt.Errorf("the array is empty: it has no place %d", path[0].index)
	}
	return slices.Concat([]byte("["), inner, []byte("]")), nil
}

func quoted(name string) []byte {
	q, _ := jsontext.AppendQuote(nil, name) // what is not UTF-8 becomes U+FFFD, and then fits no request
	return q
}

func splice(b []byte, from, to int, with []byte) []byte {
	return slices.Concat(b[:from], with, b[to:])
}

// spot is where a step leads inside of a value.
type spot struct {
	found    bool
	from, to int  // of the value that is found; else where to insert
	empty    bool // nothing stands before the place to insert
	whole    bool // the value is null
}

var (
	errNoObject = errors.New("it is not inside of a JSON object")
	errNoArray  = errors.New("it is not inside of a JSON array")
)

func locate(value []byte, s step) (spot, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(value))
	open, err := dec.ReadToken()
	switch {
	case err != nil:
		return spot{}, fmt.Errorf("the request is not valid JSON: %w", err)
	case open.Kind() == 'n':
		return spot{whole: true}, nil
	case s.name != "" && open.Kind() != '{':
		return spot{}, errNoObject
	case s.name == "" && open.Kind() != '[':
		return spot{}, errNoArray
	}
	n, end := 0, int(dec.InputOffset()) // of what has been read
	for k := dec.PeekKind(); k != '}' && k != ']'; k = dec.PeekKind() {
		match, inner, err := s.next(dec, n)
		if err != nil {
			return spot{}, fmt.Errorf("the request is not valid JSON: %w", err)
		}
		if end = int(dec.InputOffset()); match {
			return spot{found: true, from: end - len(inner), to: end}, nil
		}
		n++
	}
	if s.name == "" && s.index != n {
		return spot{}, fmt.Errorf("the array has %d entries: there is no place %d", n, s.index)
	}
	return spot{from: end, empty: n == 0}, nil
}

// next reads the value number n of an object or array, and reports whether it
// is where the step leads.
func (s step) next(dec *jsontext.Decoder, n int) (match bool, value jsontext.Value, err error) {
	match = s.name == "" && s.index == n
	if s.name != "" {
		name, err := dec.ReadToken()
		if err != nil {
			return false, nil, err
		}
		match = name.String() == s.name
	}
	value, err = dec.ReadValue()
	return match, value, err
}
