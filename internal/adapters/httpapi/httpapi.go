// Package httpapi holds what the adapters of HTTP providers share: one call a
// number, and the same reading of its answer.
package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"messaging-worker/internal/adapters/answer"
	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
)

// Result reads the outcome of one call to one number. Limit is the configured
// time limit of a call; own are the request's texts, which must not come back
// in a response.
func Result(to string, receipt api.Receipt, err error, limit time.Duration, own ...string) (models.ProviderResponse, error) {
	if err == nil {
		return models.ProviderResponse{
			Status: models.StatusOK, Code: receipt.Status, Message: answer.Clean(receipt.Message, own...),
			Meta: map[string]string{receipt.Kind + "." + to: receipt.ID},
		}, nil
	}
	if refusal, ok := errors.AsType[*api.Error](err); ok {
		status, failure := classify(refusal)
		resp := models.ProviderResponse{
			Status: status, Code: refusal.Status,
			Message: answer.Clean(message(refusal), own...),
			Raw:     answer.Clean(refusal.Raw, own...),
		}
		if refusal.RequestID != "" { // the provider's support asks for it
			resp.Meta = map[string]string{"request_id": models.CutRunes(refusal.RequestID, 128)}
		}
		return resp, failure
	}
	return noAnswer(err, limit)
}

// ProbeError classifies the error of a probe. It returns nil or a
// *common.Failure.
func ProbeError(err error, limit time.Duration) error {
	_, failure := Result("", api.Receipt{}, err, limit)
	return failure
}

// noAnswer reads a call that ended without one. What was written whole may
// have been accepted.
func noAnswer(err error, limit time.Duration) (models.ProviderResponse, error) {
	line, isLine := errors.AsType[*api.ConnectionError](err)
	resp, failure := answer.Network(err, limit)
	switch {
	case failure != nil:
	case !isLine:
		failure = common.Unknown(errors.New("provider failed without an answer"))
	case line.Answered:
		failure = common.Unknown(errors.New("a reply outside the protocol"))
	default: // the connection broke in a way that has no type of its own, as HTTP/2's do
		resp, failure = answer.Unreachable("no HTTP connection")
	}
	if isLine && line.Sent {
		failure = answer.MayHaveBeenAccepted(failure)
	}
	return resp, failure
}

// classify uses the provider's own code if its table has it, else the HTTP
// status.
func classify(e *api.Error) (string, *common.Failure) {
	status, f := Classify(e.Status, e.Foreign)
	f.RetryAfter = e.RetryAfter
	if e.Status == http.StatusProxyAuthRequired { // a proxy's, whatever its body is
		return status, f
	}
	f.Credentials = e.Credentials || e.Status == http.StatusUnauthorized
	switch {
	case e.Class != "":
		status = applyClass(e, f)
	case f.Unexplained != "" && e.Code == 0:
		f.Unexplained = fmt.Sprintf("http %d without a code of %s", e.Status, e.Provider)
	case f.Unexplained != "":
		f.Unexplained = e.Error()
	default:
		f.Throttle = e.Status == http.StatusTooManyRequests
	}
	// A code that refuses is an answer to the message; what else comes with
	// 5xx leaves open how far it got.
	if e.Status >= 500 && (e.Class == "" || e.Class == api.Transient) {
		f = answer.MayHaveBeenAccepted(f)
	}
	return status, f
}

// applyClass applies what the provider's table says to f.
func applyClass(e *api.Error, f *common.Failure) (status string) {
	f.Accepted, f.Unreachable, f.AboutUs, f.Unexplained = false, e.Status >= 500, false, ""
	switch {
	case e.Status == 0: // it was never asked
		f.Err = errors.New(e.Message)
	case e.Status < 300: // created and failed at once: the status says nothing
		f.Err = errors.New(e.Error())
	}
	switch e.Class {
	case api.Permanent:
		f.Class, f.Unreachable = models.FailurePermanent, false
		if e.Status != 0 && e.Scope != "recipient" && e.Scope != "message" {
			f.Unexplained = e.Error() // it may be our account that is at fault
		}
		return models.StatusRejected
	case api.Throttled:
		f.Class = models.FailureTransient
		applyScope(e, f)
		return models.StatusRateLimited
	case api.SetUp:
		f.Class, f.Unreachable, f.AboutUs = models.FailureTransient, true, true
	case api.Transient:
		f.Class = models.FailureTransient
	}
	return models.StatusUnavailable
}

// applyScope sets whose calls a throttle is about. One about a message throttles
// no other call.
func applyScope(e *api.Error, f *common.Failure) {
	switch e.Scope {
	case "account", "provider":
		f.Throttle = true
	case "sender":
		f.ThrottleScope = common.ScopeSender
	case "recipient":
		f.ThrottleScope = common.ScopePair
	}
}

// message is the provider's own words behind its name and code.
func message(e *api.Error) string {
	switch {
	case e.Code == 0 && e.Message == "": // no provider's answer, but a gateway's or a broken one
		return ""
	case e.Code == 0:
		return e.Provider + ": " + e.Message
	}
	return fmt.Sprintf("%s %d: %s", e.Provider, e.Code, e.Message)
}

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
