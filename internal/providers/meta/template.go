package meta

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"messaging-worker/internal/providers/api"
)

// template writes a template and what fills it as Meta's OpenAPI description
// has it. Its error is an *api.Error. A button of a one-time code is one of
// sub_type url, whatever it does with the code
// (developers.facebook.com/docs/whatsapp/business-management-api/authentication-templates).
func template(m *api.Message) (object, error) {
	t := object{"name": m.Body, "language": object{"policy": "deterministic", "code": cmp.Or(m.Meta[api.MetaLanguage], "en_US")}}
	var components []object
	for kind, value := range m.Variables(api.InHeader) { // one: a request with several does not validate
		components = append(components, object{"type": "header", "parameters": []object{header(kind, value)}})
	}
	body, err := body(m.Variables(api.InBody))
	if err != nil {
		return nil, err
	}
	if body != nil {
		components = append(components, object{"type": "body", "parameters": body})
	}
	buttons := m.Variables(api.InButton)
	for _, index := range slices.Sorted(maps.Keys(buttons)) {
		components = append(components, object{
			"type": "button", "sub_type": "url", "index": index, "parameters": []object{{"type": "text", "text": buttons[index]}},
		})
	}
	if components != nil {
		t["components"] = components
	}
	return t, nil
}

func header(kind, value string) object {
	if kind == api.HeaderText {
		return object{"type": "text", "text": value}
	}
	return object{"type": kind, kind: object{"link": value}}
}

// body fills a template's body: with numbered variables in their order, or
// with named ones where any has a name. A missing number would have all behind
// it fill the wrong variables: that is refused.
func body(variables map[string]string) ([]object, error) {
	var list []object
	names := slices.SortedFunc(maps.Keys(variables), byNumber)
	named := slices.ContainsFunc(names, func(name string) bool { return !isNumber(name) })
	for i, key := range names {
		p := object{"type": "text", "text": variables[key]}
		switch {
		case named:
			p["parameter_name"] = key
		case key != strconv.Itoa(i+1):
			return nil, &api.Error{
				Provider: name, Message: fmt.Sprintf("the template's variables leave out template.%d", i+1), Class: api.Permanent,
			}
		}
		list = append(list, p)
	}
	return list, nil
}

func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 31)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// byNumber sorts "2" before "10", and numbers before names.
func byNumber(a, b string) int {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	switch {
	case errX == nil && errY == nil:
		return x - y
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}
