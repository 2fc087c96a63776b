package api

import (
	"errors"
	"slices"
	"strings"
)

// Entries of a request's meta that say more of its body.
const (
	MetaCaption  = "media.caption"
	MetaTemplate = "template." // begins the key of every variable
	MetaLanguage = "template.language"
)

// Component is the part of a template that a variable stands in.
type Component string

// The components that have variables.
const (
	InBody   Component = "body"
	InHeader Component = "header"
	InButton Component = "button"
)

// Variable is what an entry of meta fills.
type Variable struct {
	Component Component // empty for an entry that is no variable of a template
	Name      string    // in the body's own terms; the header's kind; the button's index
}

// HeaderText is the kind of header whose variable is a text; that of the other
// kinds is a URL.
const HeaderText = "text"

var (
	errHeader = errors.New("not one of template.header.text, image, video and document")
	errButton = errors.New("not one of template.button.0 to template.button.9")
)

// VariableOf reads an entry's key: template.1, template.2 or template.NAME of
// the body, template.header.KIND and template.button.INDEX, which Meta counts
// from 0 to 9. An error is a key that means header or button and is neither's.
func VariableOf(key string) (Variable, error) {
	name, ok := strings.CutPrefix(key, MetaTemplate)
	if !ok || name == "" || key == MetaLanguage {
		return Variable{}, nil
	}
	if kind, ok := strings.CutPrefix(name, "header."); ok {
		if !slices.Contains([]string{HeaderText, "image", "video", "document"}, kind) {
			return Variable{}, errHeader
		}
		return Variable{InHeader, kind}, nil
	}
	if index, ok := strings.CutPrefix(name, "button."); ok {
		if len(index) != 1 || index[0] < '0' || index[0] > '9' {
			return Variable{}, errButton
		}
		return Variable{InButton, index}, nil
	}
	return Variable{InBody, name}, nil
}

// Variables returns those of one component, by name.
func (m *Message) Variables(in Component) map[string]string {
	out := map[string]string{}
	for key, value := range m.Meta {
		if v, err := VariableOf(key); err == nil && v.Component == in {
			out[v.Name] = value
		}
	}
	return out
}
