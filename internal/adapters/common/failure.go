// Package common holds the terms in which engine and adapters speak: the
// delivery, the call, and the failures that travel inside errors.
package common

import (
	"errors"
	"strings"
	"time"

	"messaging-worker/internal/models"
)

// Failure is the one error type that a channel's Send returns. It carries the
// class of the failure, so that nobody between adapter and engine can drop it.
type Failure struct {
	// Class is transient (worth another attempt), permanent (refused for
	// good) or unknown (repeated like transient, but told apart at the end).
	Class models.FailureType

	// Accepted marks an answer that says the provider took the message but
	// that cannot be read. It is never repeated; Class is unknown.
	Accepted bool

	// Unreachable marks a failure on the provider's side: it cannot be
	// reached, times out, answers 5xx, or refuses our credentials or set-up.
	// Such a failure says nothing about the message and feeds the breaker.
	Unreachable bool

	// Credentials marks an Unreachable failure by which our credentials are
	// refused: more log-ins with the same ones may get the account locked.
	Credentials bool

	// AboutUs marks an Unreachable failure that is an answer about us: our host,
	// name, credentials, account, quota or settings. Nobody was sent anything,
	// and it holds for all recipients of the call. While the breaker is not
	// closed it spends no attempt: probes may be well all the time.
	AboutUs bool

	// Unexplained names the answer of a refusal for good that no table takes
	// for the recipient's or the message's own: it may be us who is refused.
	// It is empty for all other failures, and where the provider accepted a
	// recipient or refused one for that one's own sake in the same call.
	Unexplained string

	// NotCalled marks a call that was not made, for the provider could take no
	// further one at the moment. It spends nothing: the engine makes it when
	// fewer calls are under way.
	NotCalled bool

	// Ambiguous marks a call that the provider may have accepted: it ran out
	// of time or was cut after the message was written. Class is transient or
	// unknown.
	Ambiguous bool

	// Doubtful names the recipients that an Ambiguous failure leaves in doubt;
	// nil means all that are not Refused. The others in Open were answered. Of
	// an Accepted failure that has Refused and Open, it names those whose
	// answer cannot be read.
	Doubtful []int

	// Throttle marks the answer of a provider that finds us too fast as a
	// whole: until RetryAfter no call to it has a chance.
	Throttle bool

	// ThrottleScope says whose calls the provider throttles where it does not
	// throttle all: until RetryAfter no call in that scope has a chance.
	ThrottleScope ThrottleScope

	// RetryAfter is how long the provider asked to be left alone; zero means
	// that it did not say.
	RetryAfter time.Duration

	// Refused and Open split the recipients of a call that ended differently
	// for each of them: refused for good, and worth another attempt. What is
	// in neither was accepted. Both nil means that Class holds for all.
	Refused []int
	Open    []int

	// Answers holds the answers to single recipients of Refused and Open, by
	// number, where they differ from Class, Err and the call's response, which
	// are about the recipients that are not in it.
	Answers map[int]Answer

	// Err says what happened in the provider's own terms and in short:
	// "http 429", "smtp 550 recipient rejected", "timeout after 30s". It
	// holds no address, no body and no secret.
	Err error
}

// Answer is the provider's answer to one recipient of a call.
type Answer struct {
	Class    models.FailureType
	Err      error // as Failure.Err
	Response models.ProviderResponse
}

// ThrottleScope is whose calls a limit of the provider is about.
type ThrottleScope int

// The scopes.
const (
	ScopeNone   ThrottleScope = iota
	ScopeSender               // all calls of a sender
	ScopePair                 // the calls of a sender to one recipient
)

// Error returns "transient error: http 429" and the like.
func (f *Failure) Error() string { return string(f.Class) + " error: " + f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Transient says that a later attempt may succeed.
func Transient(err error) *Failure { return &Failure{Class: models.FailureTransient, Err: err} }

// Permanent says that no attempt will succeed.
func Permanent(err error) *Failure { return &Failure{Class: models.FailurePermanent, Err: err} }

// Unknown says that the outcome is outside what the adapter understands.
func Unknown(err error) *Failure { return &Failure{Class: models.FailureUnknown, Err: err} }

// Classify returns the Failure inside err. An error without one is an unknown
// failure: what the adapter did not classify, nobody can. A nil err is nil.
func Classify(err error) *Failure {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return Unknown(err)
}

// Violations is the error of a payload that does not validate. It names every
// violation by its field's path.
type Violations struct {
	// MessageID is the payload's message id where it has a valid one,
	// whatever else is wrong with it; else empty.
	MessageID string

	// TraceID and TenantID are the payload's where they could be read.
	TraceID  string
	TenantID string

	// List has one text a violation, for example "to[3]: not an E.164
	// number". It quotes no value. It is never empty.
	List []string
}

// Error returns "validation error: " and all violations joined by "; ".
func (v *Violations) Error() string {
	return string(models.FailureValidation) + " error: " + strings.Join(v.List, "; ")
}
