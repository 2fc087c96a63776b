// Package whatsapp holds the rules of WhatsApp requests.
package whatsapp

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"messaging-worker/internal/adapters/phone"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
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

// checkVariables checks what fills a template's header and buttons. Those of
// the body are the template's own business, which nobody knows here.
func checkVariables(r *request.Reader, meta map[string]string) {
	header := ""
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		component, kind, err := api.VariableOf(key)
		if err == nil && component != api.InHeader {
			continue
		}
		path := request.MetaPath(key)
		if err != nil {
			r.Add(path, err.Error())
			continue
		}
		if header != "" {
			r.Add(path, "a template has one header, and "+header+" is there")
		}
		header = key
		if kind != api.HeaderText && !r.Flagged(path) && !util.IsHTTPURL(meta[key]) {
			r.Add(path, "not an absolute http or https URL")
		}
	}
}
