// Package answer reads what the answers of all providers have in common: the
// network's errors, and texts that may quote the request.
package answer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// Network returns the response and failure of a call that got no answer at all,
// and no failure for an error that is not of this kind. Limit is the configured
// time limit of the call.
func Network(err error, limit time.Duration) (models.ProviderResponse, *common.Failure) {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // it implements net.Error, whatever is in it
	}
	var netErr net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return TimedOut(limit)
	case errors.Is(err, context.Canceled):
		return Unreachable("call cut by the worker's end")
	case errors.Is(err, syscall.ECONNREFUSED):
		return Unreachable("connection refused")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Unreachable("connection reset")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Unreachable("connection lost")
	case is[*net.DNSError](err):
		return Unreachable("host not found")
	case is[x509.UnknownAuthorityError](err):
		return Unreachable("TLS: certificate of an unknown authority")
	case is[x509.HostnameError](err):
		return Unreachable("TLS: certificate for another host")
	case is[*tls.CertificateVerificationError](err):
		return Unreachable("TLS: certificate is not valid")
	case is[tls.RecordHeaderError](err):
		return Unreachable("TLS: the server does not speak it")
	case is[tls.AlertError](err):
		return Unreachable("TLS: refused by the server")
	case netErr != nil:
		return Unreachable("network error")
	}
	return models.ProviderResponse{Status: models.StatusUnknown}, nil
}

// is reports whether there is an E in err.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// TimedOut is a call that ran into its limit. Its text names the limit as it
// was set, not what a clock measured: "timeout after 30s".
func TimedOut(limit time.Duration) (models.ProviderResponse, *common.Failure) {
	_, f := Unreachable(fmt.Sprintf("timeout after %s", limit))
	return models.ProviderResponse{Status: models.StatusTimeout}, f
}

// Unreachable is a call that did not reach the provider, or not its end.
func Unreachable(text string) (models.ProviderResponse, *common.Failure) {
	f := common.Transient(errors.New(text))
	f.Unreachable = true
	return models.ProviderResponse{Status: models.StatusUnavailable}, f
}

// MayHaveBeenAccepted marks a failure that leaves open whether the provider
// took the message, and says so in its text.
func MayHaveBeenAccepted(f *common.Failure) *common.Failure {
	f.Ambiguous = true
	f.Err = fmt.Errorf("%w (may have been accepted)", f.Err)
	return f
}
