// Package patch changes single values of a JSON object and leaves every other
// byte as it is.
package patch

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Edit sets the value at a path.
type Edit struct {
	path  []step
	value jsontext.Value
	text  string
}

// step is a member's name, or an index where name is empty.
type step struct {
	name  string
	index int
}

// maxIndex bounds the index of an array.
const maxIndex = 100_000

// Member returns the edit that sets a member of the object itself.
func Member(name string, value jsontext.Value) Edit {
	return Edit{path: []step{{name: name}}, value: value, text: name}
}

// Parse reads an edit as a person writes it: PATH=TEXT sets a string, and
// PATH:=JSON any value. Paths are those that violations name: to[0],
// body.content, meta["order id"]; meta.order_id is the entry order_id, and
// whatever stands behind "meta." is its key.
func Parse(text string) (Edit, error) {
	at := assignment(text)
	if at < 0 {
		return Edit{}, fmt.Errorf("edit %q: want PATH=TEXT or PATH:=JSON", text)
	}
	if !utf8.ValidString(text) {
		return Edit{}, fmt.Errorf("edit %q: it is not UTF-8", text)
	}
	path, value := text[:at], text[at+1:]
	e := Edit{text: path}
	var err error
	if raw, ok := strings.CutSuffix(path, ":"); ok {
		e.text, e.value = raw, jsontext.Value(strings.Trim(value, " \t\r\n"))
		if !e.value.IsValid() {
			return Edit{}, fmt.Errorf("edit of %s: what follows := is not valid JSON", raw)
		}
	} else if e.value, err = jsontext.AppendQuote(nil, value); err != nil {
		return Edit{}, fmt.Errorf("edit of %s: %w", path, err)
	}
	if e.path, err = parsePath(e.text); err != nil {
		return Edit{}, fmt.Errorf("edit of %q: %w", e.text, err)
	}
	return e, nil
}

// assignment returns where the first = outside of a quoted key is, or -1.
func assignment(text string) int {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '=':
			return i
		case strings.HasPrefix(text[i:], `["`):
			quoted, err := strconv.QuotedPrefix(text[i+1:])
			if err != nil {
				return -1
			}
			i += len(quoted)
		}
	}
	return -1
}

var errPath = errors.New(`no such path: want for example to[0], body.content, meta.campaign or meta["order id"]`)

func parsePath(text string) ([]step, error) {
	var steps []step
	for rest := "." + text; rest != ""; {
		var next step
		var err error
		if next, rest, err = parseStep(rest); err != nil {
			return nil, err
		}
		steps = append(steps, next)
		if key, ok := strings.CutPrefix(rest, "."); ok && key != "" && len(steps) == 1 && next.name == "meta" {
			return append(steps, step{name: key}), nil // keys may have dots
		}
	}
	return steps, nil
}

// parseStep reads .NAME, [INDEX] or ["NAME"].
func parseStep(text string) (step, string, error) {
	if name, ok := strings.CutPrefix(text, "."); ok {
		end := strings.IndexAny(name+".", ".[")
		if end == 0 {
			return step{}, "", errPath
		}
		return step{name: name[:end]}, name[end:], nil
	}
	inner := text[1:]
	if quoted, err := strconv.QuotedPrefix(inner); err == nil && quoted[0] == '"' {
		name, err := strconv.Unquote(quoted)
		if rest, ok := strings.CutPrefix(inner[len(quoted):], "]"); ok && err == nil && name != "" {
			return step{name: name}, rest, nil
		}
		return step{}, "", errPath
	}
	digits, rest, ok := strings.Cut(inner, "]")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || n > maxIndex || rest != "" && rest[0] != '.' && rest[0] != '[' {
		return step{}, "", errPath
	}
	return step{index: n}, rest, nil
}
