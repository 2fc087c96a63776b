package whatsapp

import "strings"

// Entries of a request's meta that say more of its body.
const (
	metaCaption  = "media.caption"
	metaTemplate = "template."
	metaLanguage = "template.language"
)

// variables are the template's: template.1, template.2 or template.NAME.
func (m *Message) variables() map[string]string {
	out := map[string]string{}
	for key, value := range m.Meta {
		if name, ok := strings.CutPrefix(key, metaTemplate); ok && key != metaLanguage && name != "" {
			out[name] = value
		}
	}
	return out
}
