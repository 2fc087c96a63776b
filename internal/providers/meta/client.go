// Package meta speaks to the WhatsApp Cloud API of Meta.
//
// Source: Meta's OpenAPI description of the API, version 23.0, and
// developers.facebook.com/docs/whatsapp/cloud-api.
package meta

import (
	"context"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"messaging-worker/internal/providers/api"
)

// name is the provider's, as people write it.
const name = "Meta"

// Options of a Client. All but PhoneNumberIDs, CallbackData and UserAgent are
// required.
type Options struct {
	BaseURL        string
	Version        string // of the API: "v23.0"
	Token          func() (string, error)
	PhoneNumberID  string            // to send from
	PhoneNumberIDs map[string]string // of further senders, by their numbers
	CallbackData   bool              // send the message id as biz_opaque_callback_data
	Concurrency    int
	UserAgent      string // empty means our bare name
}

// Client is one business account. It is safe for concurrent use.
type Client struct {
	http *api.Client
	opts Options
}

// New makes a client. It does not connect.
func New(o Options) *Client {
	return &Client{http: api.NewClient(o.Concurrency, o.UserAgent), opts: o}
}

// Close lets the kept connections go.
func (c *Client) Close() error { return c.http.Close() }

// Message is what one call delivers: a text, a template or media.
type Message struct {
	ID       string
	From, To string
	Text     string
	Template *Template
	Media    *Media
}

// Template is a message template and what fills its body.
type Template struct {
	Name, Language string
	Body           []Parameter
}

// Parameter fills one place of a template. Name is empty for numbered places.
type Parameter struct{ Name, Text string }

// Media is a file that Meta fetches by its link.
type Media struct{ Kind, Link, Caption string }

// Send makes one call. Its errors are *api.Error for an answer and
// *api.LineError where none came.
func (c *Client) Send(ctx context.Context, m Message) (api.Receipt, error) {
	body, err := json.Marshal(c.payload(m), json.Deterministic(true))
	if err != nil {
		return api.Receipt{}, &api.Error{Provider: name, Message: "the message cannot be written", Class: api.Permanent}
	}
	answer, err := c.call(ctx, http.MethodPost, "/"+url.PathEscape(c.sender(m.From))+"/messages", body)
	if err != nil {
		return api.Receipt{}, err
	}
	return c.read(answer)
}

// Probe reads the phone number's node, which costs nothing and shows whether
// we are let in.
func (c *Client) Probe(ctx context.Context) error {
	answer, err := c.call(ctx, http.MethodGet, "/"+url.PathEscape(c.opts.PhoneNumberID), nil)
	if err != nil {
		return err
	}
	if answer.Status == http.StatusOK {
		return nil
	}
	return c.refusal(answer)
}

// sender returns the phone number id that stands for a number.
func (c *Client) sender(from string) string {
	if id, ok := c.opts.PhoneNumberIDs[from]; ok {
		return id
	}
	return c.opts.PhoneNumberID
}

func (c *Client) call(ctx context.Context, method, path string, body []byte) (*api.Answer, error) {
	token, err := c.opts.Token()
	if err != nil {
		return nil, &api.Error{Provider: name, Message: "the access token cannot be read", Class: api.SetUp}
	}
	target := c.opts.BaseURL + "/" + url.PathEscape(c.opts.Version) + path
	return c.http.Do(ctx, method, target, body, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", "application/json")
		if body != nil {
			r.Header.Set("Content-Type", "application/json")
		}
	})
}

// object is a JSON object on its way.
type object map[string]any

func (c *Client) payload(m Message) object {
	p := object{"messaging_product": "whatsapp", "recipient_type": "individual", "to": m.To}
	switch {
	case m.Template != nil:
		p["type"], p["template"] = "template", m.Template.object()
	case m.Media != nil:
		media := object{"link": m.Media.Link}
		if m.Media.Caption != "" {
			media["caption"] = m.Media.Caption
		}
		p["type"], p[m.Media.Kind] = m.Media.Kind, media
	default:
		p["type"], p["text"] = "text", object{"body": m.Text, "preview_url": false}
	}
	if c.opts.CallbackData {
		p["biz_opaque_callback_data"] = m.ID
	}
	return p
}

func (t *Template) object() object {
	o := object{"name": t.Name, "language": object{"policy": "deterministic", "code": t.Language}}
	if len(t.Body) == 0 {
		return o
	}
	var parameters []object
	for _, p := range t.Body {
		parameter := object{"type": "text", "text": p.Text}
		if p.Name != "" {
			parameter["parameter_name"] = p.Name
		}
		parameters = append(parameters, parameter)
	}
	o["components"] = []object{{"type": "body", "parameters": parameters}}
	return o
}

// read turns an answer into a receipt or an *api.Error.
func (c *Client) read(a *api.Answer) (api.Receipt, error) {
	if a.Status < 200 || a.Status > 299 {
		return api.Receipt{}, c.refusal(a)
	}
	var r struct {
		Messages []struct {
			ID     string `json:"id"`
			Status string `json:"message_status"`
		} `json:"messages"`
	}
	if a.Read(&r) != nil || len(r.Messages) == 0 || r.Messages[0].ID == "" {
		return api.Receipt{}, &api.Error{Provider: name, Status: a.Status, Raw: a.Raw(), Unreadable: true}
	}
	status := r.Messages[0].Status
	if status == "" {
		status = "accepted"
	}
	return api.Receipt{Status: a.Status, Kind: "wamid", ID: r.Messages[0].ID, Message: status}, nil
}

func (c *Client) refusal(a *api.Answer) *api.Error {
	var r struct {
		Error struct {
			Message   string `json:"message"`
			Code      *int   `json:"code"`
			Subcode   int    `json:"error_subcode"`
			Transient bool   `json:"is_transient"`
			Trace     string `json:"fbtrace_id"`
		} `json:"error"`
	}
	_ = a.Read(&r) // what a gateway says is no JSON: then the status has to do
	e := &api.Error{
		Provider: name, Status: a.Status, Message: r.Error.Message, Raw: a.Raw(),
		RetryAfter: a.RetryAfter(), RequestID: r.Error.Trace, Foreign: !a.HasNumber("error", "code"),
	}
	if r.Error.Code == nil {
		return e
	}
	e.Code = *r.Error.Code
	line, known := Find(e.Code)
	switch {
	case e.Code == invalidParameter && r.Error.Subcode == noSuchObject:
		e.Class, e.Scope = api.SetUp, "account"
	case known:
		e.Class, e.Scope, e.Credentials = line.Class, line.Scope, line.Credentials
	case r.Error.Transient:
		e.Class = api.Transient
	}
	return e
}
