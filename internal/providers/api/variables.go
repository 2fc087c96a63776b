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

// The components of a template that have variables.
const (
	InBody   = "body"
	InHeader = "header"
	InButton = "button"
)

// HeaderText is the kind of header whose variable is a text; that of the other
// kinds is a URL.
const HeaderText = "text"

var (
	errHeader = errors.New("not one of template.header.text, image, video and document")
	errButton = errors.New("not one of template.button.0 to template.button.9")
)

// VariableOf reads an entry's key: template.1, template.2 or template.NAME of
// the body, template.header.KIND and template.button.INDEX, which Meta counts
// from 0 to 9. It returns the component, which is empty for an entry that is no
// variable, and NAME, KIND or INDEX. An error is a key that means header or
// button and is neither's.
func VariableOf(key string) (component, name string, err error) {
	name, ok := strings.CutPrefix(key, MetaTemplate)
	if !ok || name == "" || key == MetaLanguage {
		return "", "", nil
	}
	if kind, ok := strings.CutPrefix(name, "header."); ok {
		if !slices.Contains([]string{HeaderText, "image", "video", "document"}, kind) {
			return "", "", errHeader
		}
		return InHeader, kind, nil
	}
	if index, ok := strings.CutPrefix(name, "button."); ok {
		if len(index) != 1 || index[0] < '0' || index[0] > '9' {
			return "", "", errButton
		}
		return InButton, index, nil
	}
	return InBody, name, nil
}

// Variables returns those of one component, by name.
func (m *Message) Variables(in string) map[string]string {
	out := map[string]string{}
	for key, value := range m.Meta {
		if component, name, err := VariableOf(key); err == nil && component == in {
			out[name] = value
		}
	}
	return out
}
