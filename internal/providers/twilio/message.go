package twilio

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"messaging-worker/internal/providers/api"
)

// form is what creates a message. Its error is an *api.Error.
func (c *Client) form(m *api.Message) (url.Values, error) {
	form, err := c.content(m)
	if err != nil {
		return nil, err
	}
	prefix := ""
	if c.opts.WhatsApp {
		prefix = "whatsapp:"
	}
	form.Set("To", prefix+m.To)
	form.Set("From", prefix+m.From)
	if sid := c.opts.MessagingServiceSID; sid != "" {
		form.Set("MessagingServiceSid", sid)
	}
	if c.opts.StatusCallbackURL != "" {
		form.Set("StatusCallback", callback(c.opts.StatusCallbackURL, m))
	}
	if !m.ExpiresAt.IsZero() { // until then Twilio may queue the message: 1 to 36000 seconds
		left := time.Until(m.ExpiresAt)
		form.Set("ValidityPeriod", strconv.Itoa(int(min(max(left/time.Second, 1), 36000))))
	}
	return form, nil
}

// callback adds the message's id and the recipient's number to the URL, so that
// a report can be assigned.
func callback(base string, m *api.Message) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	q := u.Query()
	q.Set("message_id", m.ID)
	q.Set("recipient", strconv.Itoa(m.Recipient))
	u.RawQuery = q.Encode()
	return u.String()
}

// contentSID is a template's own name at Twilio.
var contentSID = regexp.MustCompile(`^HX[0-9a-fA-F]{32}$`)

func (c *Client) content(m *api.Message) (url.Values, error) {
	switch m.Kind {
	case "template":
		sid := m.Body
		if !contentSID.MatchString(sid) {
			if sid = c.opts.ContentSIDs[m.Body]; sid == "" {
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
		if component, _, err := api.VariableOf(key); err == nil && component != "" {
			out[strings.TrimPrefix(key, api.MetaTemplate)] = value
		}
	}
	return out
}
