package whatsapp

import (
	"context"
	"net/url"
	"regexp"

	"github.com/go-json-experiment/json"

	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/twilio"
)

// Twilio delivers WhatsApp messages through Twilio.
type Twilio struct {
	client *twilio.Client
	sids   map[string]string
}

// NewTwilio makes a provider of a client. Sids are the content SIDs of
// templates by name.
func NewTwilio(c *twilio.Client, sids map[string]string) *Twilio { return &Twilio{c, sids} }

// contentSID is a template's own name at Twilio.
var contentSID = regexp.MustCompile(`^HX[0-9a-fA-F]{32}$`)

// Send makes one call. Its errors are *api.Error and *api.ConnectionError.
func (p *Twilio) Send(ctx context.Context, m Message) (api.Receipt, error) {
	content, err := p.content(m)
	if err != nil {
		return api.Receipt{}, err
	}
	return p.client.Send(ctx, twilio.Message{
		ID: m.ID, Index: m.Index, From: "whatsapp:" + m.From, To: "whatsapp:" + m.To, CreatedAt: m.CreatedAt,
	}, content)
}

// Probe asks whether Twilio is there and lets us in.
func (p *Twilio) Probe(ctx context.Context) error { return p.client.Probe(ctx) }

func (p *Twilio) content(m Message) (url.Values, error) {
	switch m.Kind {
	case "template":
		sid := m.Body
		if !contentSID.MatchString(sid) {
			if sid = p.sids[m.Body]; sid == "" {
				return nil, &api.Error{Provider: "Twilio", Message: "TWILIO_CONTENT_SIDS has no content SID for the template", Class: api.Permanent}
			}
		}
		content := url.Values{"ContentSid": {sid}}
		if variables := m.contentVariables(); len(variables) > 0 {
			text, err := json.Marshal(variables, json.Deterministic(true))
			if err != nil {
				return nil, &api.Error{Provider: "Twilio", Message: "the template's variables cannot be written", Class: api.Permanent}
			}
			content.Set("ContentVariables", string(text))
		}
		return content, nil
	case "media":
		content := url.Values{"MediaUrl": {m.Body}}
		if caption := m.Meta[metaCaption]; caption != "" {
			content.Set("Body", caption)
		}
		return content, nil
	}
	return url.Values{"Body": {m.Body}}, nil
}
