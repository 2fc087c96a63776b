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

// set returns a value, nil where there is none yet, with what lies at path
// replaced.
func set(value jsontext.Value, path []step, to jsontext.Value) (jsontext.Value, error) {
	if len(path) == 0 {
		return to, nil
	}
	if value == nil || value.Kind() == 'n' {
		if path[0].index != 0 {
			return nil, fmt.Errorf("the array is empty: it has no place %d", path[0].index)
		}
		value = jsontext.Value("{}")
		if path[0].name == "" {
			value = jsontext.Value("[]")
		}
	}
	before, old, after, err := path[0].split(value)
	if err != nil {
		return nil, err
	}
	inner, err := set(old, path[1:], to)
	if err != nil {
		return nil, err
	}
	return slices.Concat(before, inner, after), nil
}

var (
	errNoObject = errors.New("it is not inside of a JSON object")
	errNoArray  = errors.New("it is not inside of a JSON array")
)

// split returns the value that the step leads to, and what stands around it. Old
// is nil where there is none yet; before then ends with what introduces it.
func (s step) split(value jsontext.Value) (before, old, after jsontext.Value, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(value))
	open, _ := dec.ReadToken() // its error is that of the next value
	switch {
	case s.name != "" && open.Kind() != '{':
		return nil, nil, nil, errNoObject
	case s.name == "" && open.Kind() != '[':
		return nil, nil, nil, errNoArray
	}
	n, end := 0, dec.InputOffset() // of what has been read
	for ; dec.PeekKind() != '}' && dec.PeekKind() != ']'; n++ {
		match := s.name == "" && s.index == n
		if s.name != "" {
			name, _ := dec.ReadToken() // as above
			match = name.String() == s.name
		}
		inner, err := dec.ReadValue()
		if err != nil {
			return nil, nil, nil, fmt.Errorf("the request is not valid JSON: %w", err)
		}
		if end = dec.InputOffset(); match {
			from := end - int64(len(inner))
			return value[:from], value[from:end], value[end:], nil
		}
	}
	if s.name == "" && s.index != n {
		return nil, nil, nil, fmt.Errorf("the array has %d entries: there is no place %d", n, s.index)
	}
	before = bytes.Clone(value[:end])
	if n > 0 {
		before = append(before, ',')
	}
	if s.name != "" {
		before, _ = jsontext.AppendQuote(before, s.name) // what is not UTF-8 becomes U+FFFD, and then fits no request
		before = append(before, ':')
	}
	return before, nil, value[end:], nil
}
