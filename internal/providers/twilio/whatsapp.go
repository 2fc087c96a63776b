package twilio

import (
	"context"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"

	"messaging-worker/internal/providers/api"
)

// WhatsApp sends WhatsApp messages.
type WhatsApp struct {
	*Client

	ContentSIDs map[string]string // of templates, by name
}

// contentSID is a template's own name at Twilio.
var contentSID = regexp.MustCompile(`^HX[0-9a-fA-F]{32}$`)

// Send makes one call. Its errors are *api.Error and *api.ConnectionError.
func (w WhatsApp) Send(ctx context.Context, m api.Message) (api.Receipt, error) {
	content, err := w.content(&m)
	if err != nil {
		return api.Receipt{}, err
	}
	return w.create(ctx, &m, "whatsapp:", content)
}

func (w WhatsApp) content(m *api.Message) (url.Values, error) {
	switch m.Kind {
	case "template":
		sid := m.Body
		if !contentSID.MatchString(sid) {
			if sid = w.ContentSIDs[m.Body]; sid == "" {
				return nil, &api.Error{Provider: name, Message: "TWILIO_CONTENT_SIDS has no content SID for the template", Class: api.Permanent}
			}
		}
		content := url.Values{"ContentSid": {sid}}
		if variables := contentVariables(m); len(variables) > 0 {
			text, err := json.Marshal(variables, json.Deterministic(true))
			if err != nil {
				return nil, &api.Error{Provider: name, Message: "the template's variables cannot be written", Class: api.Permanent}
			}
			content.Set("ContentVariables", string(text))
		}
		return content, nil
	case "media":
		content := url.Values{"MediaUrl": {m.Body}}
		if caption := m.Meta[api.MetaCaption]; caption != "" {
			content.Set("Body", caption)
		}
		return content, nil
	}
	return url.Values{"Body": {m.Body}}, nil
}

// contentVariables are all of a template's, by their names in Twilio's content:
// the keys of meta without "template.".
func contentVariables(m *api.Message) map[string]string {
	out := map[string]string{}
	for key, value := range m.Meta {
		if v, err := api.VariableOf(key); err == nil && v.Component != "" {
			out[strings.TrimPrefix(key, api.MetaTemplate)] = value
		}
	}
	return out
}
