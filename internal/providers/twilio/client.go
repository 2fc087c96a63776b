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
	"strconv"
	"time"

	"messaging-worker/internal/providers/api"
)

// name is the provider's, as people write it.
const name = "Twilio"

// Options of a Client. AccountSID, BaseURL, Password and Concurrency are
// required; Username empty means AccountSID, UserAgent empty our bare name.
type Options struct {
	BaseURL     string
	AccountSID  string
	Username    string                 // an API key's SID
	Password    func() (string, error) // the account's token or the key's secret; asked for each call
	Concurrency int
	UserAgent   string

	MessagingServiceSID string        // empty for none
	StatusCallbackURL   string        // empty for none
	MaxAge              time.Duration // how old a request may become; zero for no limit
}

// Client is one Twilio account. It is safe for concurrent use.
type Client struct {
	http  *api.Client
	opts  Options
	codes api.Codes
}

// New makes a client. It does not connect.
func New(o Options) *Client {
	if o.Username == "" {
		o.Username = o.AccountSID
	}
	return &Client{http: api.NewClient(o.Concurrency, o.UserAgent), opts: o, codes: Codes()}
}

// Close lets the kept connections go.
func (c *Client) Close() error { return c.http.Close() }

// create creates a message with the content's fields; prefix is that of its
// channel's addresses. Its errors are *api.Error for an answer and
// *api.ConnectionError where none came.
func (c *Client) create(ctx context.Context, m *api.Message, prefix string, content url.Values) (api.Receipt, error) {
	content.Set("To", prefix+m.To)
	content.Set("From", prefix+m.From)
	if sid := c.opts.MessagingServiceSID; sid != "" {
		content.Set("MessagingServiceSid", sid)
	}
	if c.opts.StatusCallbackURL != "" {
		content.Set("StatusCallback", callback(c.opts.StatusCallbackURL, m))
	}
	if seconds := c.validity(m.CreatedAt); seconds > 0 {
		content.Set("ValidityPeriod", strconv.Itoa(seconds))
	}
	answer, err := c.call(ctx, http.MethodPost, "/Messages.json", []byte(content.Encode()))
	if err != nil {
		return api.Receipt{}, err
	}
	return c.read(answer)
}

// Probe reads the account, which costs nothing and shows whether we are let
// in.
func (c *Client) Probe(ctx context.Context) error {
	answer, err := c.call(ctx, http.MethodGet, ".json", nil)
	if err != nil {
		return err
	}
	if answer.Status == http.StatusOK {
		return nil
	}
	return c.refusal(answer)
}

func (c *Client) call(ctx context.Context, method, path string, body []byte) (*api.Answer, error) {
	password, err := c.opts.Password()
	if err != nil {
		return nil, &api.Error{Provider: name, Message: "the credentials cannot be read", Class: api.SetUp}
	}
	target := c.opts.BaseURL + "/2010-04-01/Accounts/" + url.PathEscape(c.opts.AccountSID) + path
	return c.http.Do(ctx, method, target, body, func(r *http.Request) {
		r.SetBasicAuth(c.opts.Username, password)
		r.Header.Set("Accept", "application/json")
		if body != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	})
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

// Bounds of ValidityPeriod, in seconds.
const (
	minValidity = 1
	maxValidity = 36000
)

// validity is how long Twilio may keep the message in its queue: what is left
// of its age, or 0 where there is no limit.
func (c *Client) validity(created time.Time) int {
	if c.opts.MaxAge <= 0 {
		return 0
	}
	left := c.opts.MaxAge - time.Since(created)
	return int(min(max(left/time.Second, minValidity), maxValidity))
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
		return api.Receipt{}, c.unreadable(a)
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

// unreadable is an acceptance without a SID. It may be an error all the same,
// under a status that a gateway has put there: then its code decides, where
// the table knows it.
func (c *Client) unreadable(a *api.Answer) *api.Error {
	if e := c.refusal(a); e.Class != "" {
		return e
	}
	return &api.Error{Provider: name, Status: a.Status, Raw: a.Raw(), RequestID: requestID(a), Unreadable: true}
}

// refusal reads an error. One without a readable code is classified by its HTTP
// status, as a gateway's answer is.
func (c *Client) refusal(a *api.Answer) *api.Error {
	said, _ := a.Object()
	code, ok := a.Code(said)
	if !ok {
		code = 0
	}
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
		RetryAfter: a.RetryAfter(), RequestID: requestID(a),
	}
	if line, known := c.codes.Find(code); known {
		e.Class, e.Scope, e.Credentials = line.Class, line.Scope, line.Credentials
	}
	return e
}

func requestID(a *api.Answer) string { return a.Header.Get("Twilio-Request-Id") }
