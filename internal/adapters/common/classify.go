package common

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"messaging-worker/internal/models"
)

// HTTPAnswer is what an HTTP provider answered, in plain values.
type HTTPAnswer struct {
	Status     int // 0 when the answer was outside the protocol
	RetryAfter time.Duration
	Unreadable bool // an acceptance whose body cannot be understood

	// Foreign says that the body is not in the provider's own form, so that a
	// gateway between may have answered.
	Foreign bool
}

// ClassifyHTTP returns the status word and the failure of an answer that is
// not a plain acceptance. A code table of a provider comes before this; what
// it does not know ends here. A 4xx that is not the provider's own answer
// refuses us and not the message.
//
// Sources: RFC 9110, 15; Twilio's and Meta's error pages agree with it.
func ClassifyHTTP(a HTTPAnswer) (string, *Failure) {
	f := &Failure{RetryAfter: a.RetryAfter, Err: fmt.Errorf("http %d", a.Status)}
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

// ClassifyNetwork returns the response and failure of a call that got no
// answer at all, and false for an error that is not of this kind. Limit is
// the configured time limit of the call.
func ClassifyNetwork(err error, limit time.Duration) (models.ProviderResponse, *Failure, bool) {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // it calls itself a network's error, whatever is in it
	}
	var netErr net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		resp, f := TimedOut(limit)
		return resp, f, true
	case errors.Is(err, context.Canceled):
		return unreachable("call cut by the worker's end")
	case errors.Is(err, syscall.ECONNREFUSED):
		return unreachable("connection refused")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return unreachable("connection reset")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return unreachable("connection lost")
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return unreachable("host not found")
	}
	if text := tlsTrouble(err); text != "" {
		return unreachable(text)
	}
	if netErr != nil {
		return unreachable("network error")
	}
	return models.ProviderResponse{}, nil, false
}

// tlsTrouble says what is wrong with the other end's proof of itself, or "".
func tlsTrouble(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "TLS: certificate of an unknown authority"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "TLS: certificate for another host"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "TLS: certificate is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "TLS: the server does not speak it"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "TLS: refused by the server"
	}
	return ""
}

func unreachable(text string) (models.ProviderResponse, *Failure, bool) {
	f := Transient(errors.New(text))
	f.Unreachable = true
	return models.ProviderResponse{Status: models.StatusUnavailable}, f, true
}

// MayHaveBeenAccepted marks a failure that leaves open whether the provider
// took the message, and says so in its text.
func MayHaveBeenAccepted(f *Failure) *Failure {
	f.Ambiguous = true
	f.Err = fmt.Errorf("%w (may have been accepted)", f.Err)
	return f
}
