package api

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Object is a JSON object of an answer. Its members are read one by one, so
// that one of an unexpected type spoils no other, and what cannot be read
// without doubt is as good as absent.
type Object map[string]jsontext.Value

// lenient is how answers are decoded: an acceptance must not be taken for a
// failure because a name is repeated, of which the last counts.
func lenient() jsontext.Options {
	return json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// Object returns the object that the body begins with, and whether it is
// whole: of one that breaks off, or is broken, the members up to there remain.
// A byte order mark in front and anything behind are read over. A body that is
// no object has no members.
func (a *Answer) Object() (o Object, whole bool) {
	return readObject(bytes.TrimPrefix(a.Body, []byte("\uFEFF")))
}

func readObject(text []byte) (o Object, whole bool) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), lenient())
	if dec.PeekKind() != '{' {
		return nil, false
	}
	_, _ = dec.ReadToken() // the brace
	o = Object{}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return o, false
		}
		member := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return o, false
		}
		o[member] = value.Clone()
	}
	_, err := dec.ReadToken()
	return o, err == nil
}

// Text returns a member that is a text, else "".
func (o Object) Text(name string) string {
	var text string
	if o[name].Kind() != '"' || json.Unmarshal(o[name], &text, lenient()) != nil {
		return ""
	}
	return text
}

// Number returns a member that is a whole number from 0 to 2³¹-1, or a text
// that is one: some gateways and libraries quote numbers, or write them as
// floating ones. Anything else, null among it, is none.
func (o Object) Number(name string) (n int, ok bool) {
	text := ""
	switch value := o[name]; value.Kind() {
	case '0':
		text = string(value)
	case '"':
		if text = strings.Trim(o.Text(name), " \t\r\n"); !plainNumber.MatchString(text) {
			return 0, false
		}
	default:
		return 0, false
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || x != math.Trunc(x) || x < 0 || x > math.MaxInt32 {
		return 0, false
	}
	return int(x), true
}

// Code returns the code in what a refusal says. One that repeats the HTTP
// status is none: the providers have no such codes, but gateways write so.
func (a *Answer) Code(said Object) (code int, ok bool) {
	if code, ok = said.Number("code"); code == a.Status && a.Status >= 400 {
		return 0, false
	}
	return code, ok
}

// True reports whether a member is true, or a text that says so.
func (o Object) True(name string) bool {
	return o[name].Kind() == 't' || strings.EqualFold(o.Text(name), "true")
}

// Object returns a member that is an object, else nil.
func (o Object) Object(name string) Object {
	member, _ := readObject(o[name])
	return member
}

// First returns the first element of a member that is a list, where that is an
// object, else nil.
func (o Object) First(name string) Object {
	var list []jsontext.Value
	if o[name].Kind() != '[' || json.Unmarshal(o[name], &list, lenient()) != nil || len(list) == 0 {
		return nil
	}
	first, _ := readObject(list[0])
	return first
}
