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
		return models.ProviderResponse{
			Status: status, Code: refusal.Status,
			Message: answer.Clean(message(refusal), own...),
			Raw:     answer.Clean(refusal.Raw, own...),
			Meta:    requestID(refusal),
		}, failure
	}
	return noAnswer(err, limit)
}

// ProbeError classifies the error of a probe. It returns nil or a
// *common.Failure.
func ProbeError(err error, limit time.Duration) error {
	if err == nil {
		return nil
	}
	if refusal, ok := errors.AsType[*api.Error](err); ok {
		_, failure := classify(refusal)
		return failure
	}
	_, failure := noAnswer(err, limit)
	return failure
}

// noAnswer reads a call that ended without one. What was written whole may
// have been accepted.
func noAnswer(err error, limit time.Duration) (models.ProviderResponse, error) {
	line, isLine := errors.AsType[*api.ConnectionError](err)
	resp, failure, ok := answer.Network(err, limit)
	switch {
	case !ok && isLine && line.Answered:
		resp, failure = models.ProviderResponse{Status: models.StatusUnknown}, common.Unknown(errors.New("a reply outside the protocol"))
	case !ok && !isLine:
		return models.ProviderResponse{Status: models.StatusUnknown}, common.Unknown(errors.New("provider failed without an answer"))
	case !ok: // the connection broke in a way that has no type of its own, as HTTP/2's do
		resp, failure = models.ProviderResponse{Status: models.StatusUnavailable}, common.Transient(errors.New("no HTTP connection"))
		failure.Unreachable = true
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
	f.Throttle = e.Status == http.StatusTooManyRequests
	if e.Class != "" {
		status = applyClass(e, f)
		f.Throttle = false
	}
	if e.Class == api.Throttled {
		applyScope(e, f)
	}
	f.Credentials = e.Credentials || e.Status == http.StatusUnauthorized
	if e.Class == "" && f.Unexplained != "" {
		f.Unexplained = unlisted(e)
	}
	if e.Status == 0 && e.Class != "" {
		f.Err = errors.New(e.Message) // it was never asked
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
	if e.Status < 300 { // created and failed at once: the status says nothing
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
		return models.StatusRateLimited
	case api.SetUp:
		f.Class, f.Unreachable, f.AboutUs = models.FailureTransient, true, true
	case api.Transient:
		f.Class = models.FailureTransient
	}
	return models.StatusUnavailable
}

// unlisted names an answer whose code no table has.
func unlisted(e *api.Error) string {
	if e.Code == 0 {
		return fmt.Sprintf("http %d without a code of %s", e.Status, e.Provider)
	}
	return e.Error()
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

// requestID is what the provider's support asks for.
func requestID(e *api.Error) map[string]string {
	if e.RequestID == "" {
		return nil
	}
	return map[string]string{"request_id": models.CutRunes(e.RequestID, 128)}
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
