// Package meta speaks to the WhatsApp Cloud API of Meta.
//
// Source: Meta's OpenAPI description of the API, version 23.0, and
// developers.facebook.com/docs/whatsapp/cloud-api.
package meta

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"messaging-worker/internal/providers/api"
)

// name is the provider's, as people write it.
const name = "Meta"

// Options of a Client. All but PhoneNumberIDs and CallbackData are required.
type Options struct {
	BaseURL        string
	Version        string // of the API: "v23.0"
	Token          func() (string, error)
	PhoneNumberID  string            // to send from
	PhoneNumberIDs map[string]string // of further senders, by their numbers
	CallbackData   bool              // send the message id as biz_opaque_callback_data
	Concurrency    int
	UserAgent      string
}

// Client is one business account. It is safe for concurrent use.
type Client struct {
	*api.Client

	opts Options
}

// New makes a client. It does not connect.
func New(o Options) *Client {
	return &Client{Client: api.NewClient(o.Concurrency, o.UserAgent), opts: o}
}

// Send makes one call. Its errors are *api.Error for an answer and
// *api.ConnectionError where none came.
func (c *Client) Send(ctx context.Context, m api.Message) (api.Receipt, error) {
	payload, err := c.payload(&m)
	if err != nil {
		return api.Receipt{}, err
	}
	body, err := json.Marshal(payload, json.Deterministic(true))
	if err != nil {
		return api.Receipt{}, &api.Error{Provider: name, Message: "the message cannot be written", Class: api.Permanent}
	}
	answer, err := c.call(ctx, http.MethodPost, "/"+url.PathEscape(c.sender(m.From))+"/messages", body)
	if err != nil {
		return api.Receipt{}, err
	}
	return read(answer)
}

// Probe reads the phone number's node, which costs nothing and shows whether
// our token is accepted.
func (c *Client) Probe(ctx context.Context) error {
	answer, err := c.call(ctx, http.MethodGet, "/"+url.PathEscape(c.opts.PhoneNumberID), nil)
	if err == nil && answer.Status != http.StatusOK {
		err = refusal(answer)
	}
	return err
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
	return c.Do(ctx, method, target, body, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+token)
		if body != nil {
			r.Header.Set("Content-Type", "application/json")
		}
	})
}

// read turns an answer into a receipt or an *api.Error.
func read(a *api.Answer) (api.Receipt, error) {
	if a.Status < 200 || a.Status > 299 {
		return api.Receipt{}, refusal(a)
	}
	answer, whole := a.Object()
	message := answer.First("messages")
	id := message.Text("id")
	if !whole || id == "" {
		// It may be an error all the same, under a status that a gateway has put
		// there: then what it says decides, where that is known.
		e := refusal(a)
		if e.Class == "" {
			e = &api.Error{Provider: name, Status: a.Status, Raw: e.Raw}
		}
		return api.Receipt{}, e
	}
	return api.Receipt{Status: a.Status, Kind: "wamid", ID: id, Message: cmp.Or(message.Text("message_status"), "accepted")}, nil
}

// refusal reads an error. One without a readable code is classified by its HTTP
// status, as a gateway's answer is. 0 is a code of Meta's, so none is not 0.
func refusal(a *api.Answer) *api.Error {
	answer, _ := a.Object()
	said := answer.Object("error")
	e := &api.Error{
		Provider: name, Status: a.Status, Message: said.Text("message"), Raw: a.Raw(),
		RetryAfter: a.RetryAfter(), RequestID: said.Text("fbtrace_id"),
	}
	code, ok := a.Code(said)
	e.Code, e.Foreign = code, !ok && !isGraphError(said)
	line, known := Find(code)
	subcode, _ := said.Number("error_subcode")
	switch {
	case code == 100 && subcode == 33:
		// An object that does not exist, or that the token may not see (Graph
		// API, "Handle Errors").
		e.Class, e.Scope = api.SetUp, "account"
	case ok && known:
		e.Class, e.Scope, e.Credentials = line.Class, line.Scope, line.Credentials
	case !e.Foreign && said.True("is_transient"):
		e.Class = api.Transient
	}
	return e
}

// isGraphError reports whether an error without a code is the Graph API's all the
// same: its errors have a message, a type and a trace.
func isGraphError(said api.Object) bool {
	return said.Text("message") != "" && (said.Text("type") != "" || said.Text("fbtrace_id") != "")
}
