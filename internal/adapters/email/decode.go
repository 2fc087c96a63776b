package email

import (
	"fmt"
	"strings"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
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
