// Package email turns requests into mails and the server's replies into
// outcomes.
package email

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

const wantMailbox = "an email address"

// Entries of meta that become headers of the mail.
const (
	metaReplyTo         = "email.reply_to"
	metaListUnsubscribe = "email.list_unsubscribe"
)

// maxURL keeps the header that a URL stands in below the longest line of a
// mail, 998 octets (RFC 5322, 2.1.1).
const maxURL = 900

// Provider holds one mail conversation. Its errors are those of package email,
// and mean that all recipients failed alike; or the network's or ctx's.
type Provider interface {
	Send(ctx context.Context, m email.Message) (email.Receipt, error)
}

// Adapter is the email channel. It is safe for concurrent use.
type Adapter struct {
	provider Provider
	limits   request.Limits
	timeout  time.Duration
	readers  request.Readers
}

// New makes an adapter. Timeout is the limit of one call, for error texts.
func New(provider Provider, limits request.Limits, timeout time.Duration) *Adapter {
	return &Adapter{provider: provider, limits: limits, timeout: timeout}
}

// Decode reads and checks a request of messages.email.request. Its only error
// is *common.Violations.
func (a *Adapter) Decode(rec *models.Record) (common.Delivery, error) {
	req := &models.EmailRequest{}
	err := a.readers.Read(rec, models.Email, &a.limits, &req.Envelope, func(r *request.Reader, name string) bool {
		switch name {
		case "from":
			r.String(name, &req.From)
		case "to":
			r.Strings(name, &req.To)
		case "cc":
			r.Strings(name, &req.CC)
		case "bcc":
			r.Strings(name, &req.BCC)
		case "subject":
			r.String(name, &req.Subject)
		case "body":
			r.Body(&req.Body)
		default:
			return false
		}
		return true
	}, func(r *request.Reader) { a.check(r, req) })
	if err != nil {
		return common.Delivery{}, err
	}
	return a.Delivery(req), nil
}

func (a *Adapter) check(r *request.Reader, req *models.EmailRequest) {
	r.Addressee("from", req.From, util.IsMailbox, wantMailbox)
	r.List("to", req.To, 1, a.limits.Recipients, util.IsMailbox, wantMailbox)
	r.List("cc", req.CC, 0, a.limits.Recipients, util.IsMailbox, wantMailbox)
	r.List("bcc", req.BCC, 0, a.limits.Recipients, util.IsMailbox, wantMailbox)
	if util.LongerThan(req.Subject, a.limits.SubjectRunes) {
		r.Add("subject", fmt.Sprintf("longer than %d runes", a.limits.SubjectRunes))
	}
	if util.HasControl(req.Subject) {
		r.Add("subject", "has a control character")
	}
	r.BodyType(&req.Body, models.BodyText, models.BodyHTML)
	r.BodyContent(&req.Body)
	if n := len(req.Body.Content); n > a.limits.BodyBytes {
		r.Add("body.content", fmt.Sprintf("%d bytes, at most %d", n, a.limits.BodyBytes))
	}
	a.checkMeta(r, req.Meta)
	req.Body.MediaType = "" // media is WhatsApp's
}

func (a *Adapter) checkMeta(r *request.Reader, meta map[string]string) {
	if text, ok := meta[metaReplyTo]; ok && !util.IsMailbox(text) {
		r.Add(request.MetaPath(metaReplyTo), "not "+wantMailbox)
	}
	text, ok := meta[metaListUnsubscribe]
	switch {
	case !ok:
	case !isHTTPS(text):
		r.Add(request.MetaPath(metaListUnsubscribe), "not an absolute https URL in printable ASCII")
	case len(text) > maxURL:
		r.Add(request.MetaPath(metaListUnsubscribe), fmt.Sprintf("%d bytes, at most %d", len(text), maxURL))
	}
}

// isHTTPS reports whether a text is an https URL that can stand in a header
// between angle brackets, in a list that commas part (RFC 2369, 2).
func isHTTPS(text string) bool {
	const scheme = "https://"
	return len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) && util.IsHTTPURL(text) &&
		!strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`<>"\^`+"`{|}", c) })
}

// Delivery returns the delivery of a valid request, which must not change any
// more: one call for every distinct mailbox of to, cc and bcc, the domain
// compared without case.
func (a *Adapter) Delivery(req *models.EmailRequest) common.Delivery {
	list := req.To
	if len(req.CC)+len(req.BCC) > 0 {
		list = slices.Concat(req.To, req.CC, req.BCC)
	}
	unit := request.Distinct(list)
	return common.Delivery{
		Envelope: &req.Envelope, Sender: req.From, Recipients: list, Units: [][]int{unit},
		Send: func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
			return a.send(ctx, req, list, call.Recipients, len(call.Recipients) == len(unit))
		},
	}
}

// send holds the conversation for the recipients with these numbers in list.
func (a *Adapter) send(
	ctx context.Context, req *models.EmailRequest, list []string, recipients []int, whole bool,
) (models.ProviderResponse, error) {
	m := email.Message{
		ID: req.MessageID, From: req.From, To: req.To, CC: req.CC, BCC: req.BCC,
		Subject: req.Subject, HTML: req.Body.Type == models.BodyHTML, Body: req.Body.Content,
		CreatedAt: req.CreatedAt, ReplyTo: req.Meta[metaReplyTo], ListUnsubscribe: req.Meta[metaListUnsubscribe],
	}
	for _, i := range recipients {
		m.Recipients = append(m.Recipients, list[i])
	}
	receipt, err := a.provider.Send(ctx, m)
	c := Conversation{
		Recipients: recipients, Whole: whole, Limit: a.timeout,
		Own: append([]string{req.From, req.Subject, req.Body.Content}, m.Recipients...),
	}
	return c.Outcome(receipt, err)
}
