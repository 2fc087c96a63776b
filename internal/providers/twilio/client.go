// Package twilio speaks to Twilio's Messages API, for SMS and for WhatsApp.
//
// Source: Twilio's OpenAPI description of the 2010-04-01 API, and
// twilio.com/docs/messaging/api/message-resource.
package twilio

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"messaging-worker/internal/providers/api"
)

// name is the provider's, as people write it.
const name = "Twilio"

// Options of a Client. AccountSID, BaseURL, Password, Concurrency and UserAgent
// are required; Username empty means AccountSID.
type Options struct {
	BaseURL     string
	AccountSID  string
	Username    string                 // an API key's SID
	Password    func() (string, error) // the account's token or the key's secret; asked for each call
	Concurrency int
	UserAgent   string

	MessagingServiceSID string // empty for none
	StatusCallbackURL   string // empty for none

	WhatsApp    bool              // send WhatsApp messages, not SMS
	ContentSIDs map[string]string // of WhatsApp's templates, by name
}

// Client is one Twilio account. It is safe for concurrent use.
type Client struct {
	*api.Client

	opts  Options
	codes api.Codes
}

// New makes a client. It does not connect.
func New(o Options) *Client {
	if o.Username == "" {
		o.Username = o.AccountSID
	}
	return &Client{Client: api.NewClient(o.Concurrency, o.UserAgent), opts: o, codes: Codes()}
}

// Send makes one call. Its errors are *api.Error for an answer and
// *api.ConnectionError where none came.
func (c *Client) Send(ctx context.Context, m api.Message) (api.Receipt, error) {
	form, err := c.form(&m)
	if err != nil {
		return api.Receipt{}, err
	}
	answer, err := c.call(ctx, http.MethodPost, "/Messages.json", []byte(form.Encode()))
	if err != nil {
		return api.Receipt{}, err
	}
	return c.read(answer)
}

// Probe reads the account, which costs nothing and shows whether we are let in.
func (c *Client) Probe(ctx context.Context) error {
	answer, err := c.call(ctx, http.MethodGet, ".json", nil)
	if err == nil && answer.Status != http.StatusOK {
		err = c.refusal(answer)
	}
	return err
}

func (c *Client) call(ctx context.Context, method, path string, body []byte) (*api.Answer, error) {
	password, err := c.opts.Password()
	if err != nil {
		return nil, &api.Error{Provider: name, Message: "the credentials cannot be read", Class: api.SetUp}
	}
	target := c.opts.BaseURL + "/2010-04-01/Accounts/" + url.PathEscape(c.opts.AccountSID) + path
	return c.Do(ctx, method, target, body, func(r *http.Request) {
		r.SetBasicAuth(c.opts.Username, password)
		if body != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	})
}

// read turns an answer into a receipt or an *api.Error. A message with a
// SID was created: only its status can make a refusal of the answer, whatever
// else the body has or lacks.
func (c *Client) read(a *api.Answer) (api.Receipt, error) {
	if a.Status < 200 || a.Status > 299 {
		return api.Receipt{}, c.refusal(a)
	}
	message, whole := a.Object()
	sid := message.Text("sid")
	if !whole || sid == "" {
		// It may be an error all the same, under a status that a gateway has put
		// there: then its code decides, where the table knows it.
		e := c.refusal(a)
		if e.Class == "" {
			e = &api.Error{Provider: name, Status: a.Status, Raw: e.Raw, RequestID: e.RequestID}
		}
		return api.Receipt{}, e
	}
	status := message.Text("status")
	if status == "failed" || status == "undelivered" || status == "canceled" {
		code, _ := message.Number("error_code")
		e := c.error(a, code, message.Text("error_message"))
		if e.Class == "" {
			e.Class = api.Permanent // created and failed at once: it would again
		}
		return api.Receipt{}, e
	}
	return api.Receipt{Status: a.Status, Kind: "sid", ID: sid, Message: cmp.Or(status, "accepted")}, nil
}

// refusal reads an error. One without a readable code is classified by its HTTP
// status, as a gateway's answer is.
func (c *Client) refusal(a *api.Answer) *api.Error {
	said, _ := a.Object()
	code, ok := a.Code(said)
	e := c.error(a, code, said.Text("message"))
	e.Foreign = !ok && !isTwilioError(a, said)
	return e
}

// isTwilioError reports whether an error without a code is Twilio's all the same: it
// always gives the message and the status, and a code only where it has one
// (twilio.com/docs/usage/twilios-response#exceptions). Frameworks that write
// these two name the error besides.
func isTwilioError(a *api.Answer, said api.Object) bool {
	status, _ := said.Number("status")
	return said.Text("message") != "" && status == a.Status && said["error"] == nil
}

func (c *Client) error(a *api.Answer, code int, message string) *api.Error {
	e := &api.Error{
		Provider: name, Status: a.Status, Code: code, Message: message, Raw: a.Raw(),
		RetryAfter: a.RetryAfter(), RequestID: a.Header.Get("Twilio-Request-Id"),
	}
	if line, known := c.codes.Find(code); known {
		e.Class, e.Scope, e.Credentials = line.Class, line.Scope, line.Credentials
	}
	return e
}
