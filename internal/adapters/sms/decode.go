package sms

import (
	"fmt"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

const wantNumber = "an E.164 number"

// Decode reads and checks a request of messages.sms.request. Its only error
// is *common.Violations.
func (a *Adapter) Decode(rec *models.Record) (*models.SMSRequest, error) {
	req := &models.SMSRequest{}
	err := a.readers.Read(rec, models.SMS, &a.limits, &req.Envelope, func(r *common.Reader, name string) bool {
		switch name {
		case "from":
			r.String(name, &req.From)
		case "to":
			r.Strings(name, &req.To)
		case "body":
			r.Body(&req.Body)
		default:
			return false
		}
		return true
	}, func(r *common.Reader) { a.check(r, req) })
	if err != nil {
		return nil, err
	}
	return req, nil
}

func (a *Adapter) check(r *common.Reader, req *models.SMSRequest) {
	r.Addressee("from", req.From, util.IsE164, wantNumber)
	r.List("to", req.To, 1, a.limits.Recipients, util.IsE164, wantNumber)
	r.BodyType(&req.Body, models.BodyText)
	r.BodyContent(&req.Body)
	if util.LongerThan(req.Body.Content, a.limits.SMSBodyRunes) {
		r.Add("body.content", fmt.Sprintf("longer than %d runes", a.limits.SMSBodyRunes))
	}
	req.Body.MediaType = "" // media is WhatsApp's
}
