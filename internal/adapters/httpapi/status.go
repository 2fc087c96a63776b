package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// Answer is what an HTTP provider answered, in plain values.
type Answer struct {
	Status     int // 0 when the answer was outside the protocol
	RetryAfter time.Duration
	Unreadable bool // an acceptance whose body cannot be understood

	// Foreign says that the body is not in the provider's own form, so that a
	// gateway between may have answered.
	Foreign bool
}

// Classify returns the status word and the failure of an answer that is
// not a plain acceptance. A code table of a provider comes before this; what
// it does not know ends here. A 4xx that is not the provider's own answer
// refuses us and not the message.
//
// Sources: RFC 9110, 15; Twilio's and Meta's error pages agree with it.
func Classify(a Answer) (string, *common.Failure) {
	f := &common.Failure{RetryAfter: a.RetryAfter, Err: fmt.Errorf("http %d", a.Status)}
	switch {
	case a.Status >= 200 && a.Status < 300:
		f.Class, f.Accepted = models.FailureUnknown, true
		f.Err = fmt.Errorf("http %d with an unreadable body", a.Status)
		return models.StatusUnknown, f
	case a.Status == http.StatusTooManyRequests:
		f.Class = models.FailureTransient
		return models.StatusRateLimited, f
	case a.Status == http.StatusRequestTimeout:
		f.Class = models.FailureTransient
		return models.StatusTimeout, f
	case a.Status >= 500 && a.Status < 600:
		f.Class, f.Unreachable = models.FailureTransient, true
		return models.StatusUnavailable, f
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		// Our credentials or account, not this message: somebody has to fix them.
		f.Class, f.Unreachable, f.AboutUs = models.FailureTransient, true, true
		return models.StatusUnavailable, f
	case a.Status == http.StatusProxyAuthRequired, a.Foreign && a.Status >= 400 && a.Status < 500:
		// The provider has not seen the message. A wrong base URL looks alike.
		f.Class, f.Unreachable, f.AboutUs = models.FailureTransient, true, true
		f.Err = fmt.Errorf("http %d from a gateway", a.Status)
		return models.StatusUnavailable, f
	case a.Status >= 400 && a.Status < 500:
		f.Class, f.Unexplained = models.FailurePermanent, f.Err.Error()
		return models.StatusRejected, f
	}
	f.Class = models.FailureUnknown
	f.Unreachable = a.Status >= 300 && a.Status < 400 // redirects are not followed: the base URL is wrong
	if a.Status == 0 {
		f.Err = errors.New("a reply outside the protocol")
	}
	return models.StatusUnknown, f
}
