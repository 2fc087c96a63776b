package ops

import (
	"errors"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/adapters/sms"
	"messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// Check is what the workers' own rules say of a request.
type Check struct {
	Envelope   models.Envelope // of a valid request
	Violations []string        // each begins with the field's path; empty means valid
}

// Checker returns the check of a channel's requests: the very code that a
// worker of these settings runs. The function is safe for concurrent use.
func Checker(c *config.Config) func(rec *models.Record) Check {
	limits := request.Limits(c.Limits)
	switch models.Channel(c.Channel) {
	case models.Email:
		return checkBy(email.New(nil, limits, 0).Decode)
	case models.SMS:
		return checkBy(sms.New(nil, limits, 0).Decode)
	default:
		return checkBy(whatsapp.New(nil, limits, 0).Decode)
	}
}

func checkBy(decode func(*models.Record) (common.Delivery, error)) func(*models.Record) Check {
	return func(rec *models.Record) Check {
		d, err := decode(rec)
		if err != nil {
			return violated(err)
		}
		return Check{Envelope: *d.Envelope}
	}
}

func violated(err error) Check {
	if v, ok := errors.AsType[*common.Violations](err); ok {
		return Check{Violations: v.List}
	}
	return Check{Violations: []string{"record: " + err.Error()}}
}
