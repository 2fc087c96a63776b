package whatsapp

import (
	"fmt"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

const wantNumber = "an E.164 number"

// Decode reads and checks a request of messages.whatsapp.request. Its only
// error is *common.Violations.
func (a *Adapter) Decode(rec *models.Record) (*models.WhatsAppRequest, error) {
	req := &models.WhatsAppRequest{}
	err := a.readers.Read(rec, models.WhatsApp, &a.limits, &req.Envelope, func(r *common.Reader, name string) bool {
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

func (a *Adapter) check(r *common.Reader, req *models.WhatsAppRequest) {
	r.Addressee("from", req.From, util.IsE164, wantNumber)
	r.List("to", req.To, 1, a.limits.Recipients, util.IsE164, wantNumber)
	kind := r.BodyType(&req.Body, models.BodyText, models.BodyTemplate, models.BodyMedia)
	r.BodyContent(&req.Body)
	if n := len(req.Body.Content); n > a.limits.WhatsAppBodyBytes {
		r.Add("body.content", fmt.Sprintf("%d bytes, at most %d", n, a.limits.WhatsAppBodyBytes))
	}
	if kind == models.BodyTemplate {
		checkVariables(r, req.Meta)
	}
	if kind != models.BodyMedia {
		req.Body.MediaType = "" // has no meaning elsewhere, and does no harm
		return
	}
	if !util.IsBlank(req.Body.Content) && !util.IsHTTPURL(req.Body.Content) {
		r.Add("body.content", "not an absolute http or https URL")
	}
	r.Addressee("body.media_type", req.Body.MediaType, util.IsMIMEType, "a MIME type")
}
