// Package sms holds the rules of SMS requests.
package sms

import (
	"fmt"
	"time"

	"messaging-worker/internal/adapters/phone"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

// New makes the SMS channel. Timeout is the limit of one call, for error texts.
func New(provider phone.Provider, limits request.Limits, timeout time.Duration) *phone.Adapter {
	return phone.New(models.SMS, provider, limits, timeout, func(r *request.Reader, req *models.PhoneRequest) {
		r.BodyType(&req.Body, models.BodyText)
		r.BodyContent(&req.Body)
		if util.LongerThan(req.Body.Content, limits.SMSBodyRunes) {
			r.Add("body.content", fmt.Sprintf("longer than %d runes", limits.SMSBodyRunes))
		}
		req.Body.MediaType = "" // media is WhatsApp's
	})
}
