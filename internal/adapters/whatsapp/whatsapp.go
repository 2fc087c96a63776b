// Package whatsapp holds the rules of WhatsApp requests.
package whatsapp

import (
	"fmt"
	"time"

	"messaging-worker/internal/adapters/phone"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

// New makes the WhatsApp channel. Timeout is the limit of one call, for error
// texts.
func New(provider phone.Provider, limits request.Limits, timeout time.Duration) *phone.Adapter {
	return phone.New(models.WhatsApp, provider, limits, timeout, func(r *request.Reader, req *models.PhoneRequest) {
		check(r, req, limits.WhatsAppBodyBytes)
	})
}

func check(r *request.Reader, req *models.PhoneRequest, bodyBytes int) {
	kind := r.BodyType(&req.Body, models.BodyText, models.BodyTemplate, models.BodyMedia)
	r.BodyContent(&req.Body)
	if n := len(req.Body.Content); n > bodyBytes {
		r.Add("body.content", fmt.Sprintf("%d bytes, at most %d", n, bodyBytes))
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
