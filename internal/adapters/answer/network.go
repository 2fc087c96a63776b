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
// and false for an error that is not of this kind. Limit is the configured time
// limit of the call.
func Network(err error, limit time.Duration) (models.ProviderResponse, *common.Failure, bool) {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // it implements net.Error, whatever is in it
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

// tlsTrouble says what is wrong with the server's certificate or TLS, or "".
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

// TimedOut is a call that ran into its limit. Its text names the limit as it
// was set, not what a clock measured: "timeout after 30s".
func TimedOut(limit time.Duration) (models.ProviderResponse, *common.Failure) {
	f := common.Transient(fmt.Errorf("timeout after %s", limit))
	f.Unreachable = true
	return models.ProviderResponse{Status: models.StatusTimeout}, f
}

func unreachable(text string) (models.ProviderResponse, *common.Failure, bool) {
	f := common.Transient(errors.New(text))
	f.Unreachable = true
	return models.ProviderResponse{Status: models.StatusUnavailable}, f, true
}

// MayHaveBeenAccepted marks a failure that leaves open whether the provider
// took the message, and says so in its text.
func MayHaveBeenAccepted(f *common.Failure) *common.Failure {
	f.Ambiguous = true
	f.Err = fmt.Errorf("%w (may have been accepted)", f.Err)
	return f
}
