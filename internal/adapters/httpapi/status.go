package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// Classify returns the status word and the failure of an answer with an HTTP
// status, 0 for one outside the protocol, that is not a plain acceptance. A code
// table of a provider comes before this; what it does not know ends here.
// Foreign says that the body is not in the provider's own form, so that a
// gateway between may have answered: then a 4xx refuses us and not the message.
//
// Sources: RFC 9110, 15; Twilio's and Meta's error pages agree with it.
func Classify(status int, foreign bool) (string, *common.Failure) {
	f := &common.Failure{Err: fmt.Errorf("http %d", status)}
	switch {
	case status >= 200 && status < 300:
		f.Class, f.Accepted = models.FailureUnknown, true
		f.Err = fmt.Errorf("http %d with an unreadable body", status)
		return models.StatusUnknown, f
	case status == http.StatusTooManyRequests:
		f.Class = models.FailureTransient
		return models.StatusRateLimited, f
	case status == http.StatusRequestTimeout:
		f.Class = models.FailureTransient
		return models.StatusTimeout, f
	case status >= 500 && status < 600:
		f.Class, f.Unreachable = models.FailureTransient, true
		return models.StatusUnavailable, f
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		// Our credentials or account, not this message: somebody has to fix them.
		f.Class, f.Unreachable, f.AboutUs = models.FailureTransient, true, true
		return models.StatusUnavailable, f
	case status == http.StatusProxyAuthRequired, foreign && status >= 400 && status < 500:
		// The provider has not seen the message. A wrong base URL looks alike.
		f.Class, f.Unreachable, f.AboutUs = models.FailureTransient, true, true
		f.Err = fmt.Errorf("http %d from a gateway", status)
		return models.StatusUnavailable, f
	case status >= 400 && status < 500:
		f.Class, f.Unexplained = models.FailurePermanent, f.Err.Error()
		return models.StatusRejected, f
	}
	f.Class = models.FailureUnknown
	f.Unreachable = status >= 300 && status < 400 // redirects are not followed: the base URL is wrong
	if status == 0 {
		f.Err = errors.New("a reply outside the protocol")
	}
	return models.StatusUnknown, f
}
