// Package explain tells a person what a provider's code means and what the
// workers make of it. It asks the same tables and functions that the workers
// ask.
package explain

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/httpapi"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/twilio"
)

// Explanation is what is known of one code.
type Explanation struct {
	Provider string `json:"provider"` // twilio, meta, smtp or http
	Code     string `json:"code"`
	Class    string `json:"class"`           // see the classes in package api, or unknown, accepted, by http status
	Scope    string `json:"scope,omitempty"` // what it is about; empty where the code does not say
	Meaning  string `json:"meaning"`
	Action   string `json:"action"` // what the worker does
	Source   string `json:"source"` // where the meaning is written
}

// Providers are the names that Code takes.
func Providers() []string { return []string{"twilio", "meta", "smtp", "http"} }

// Code explains a provider's code. Its error says what is wrong with the
// question; a code that is in no table has an explanation too.
func Code(name, code string) (Explanation, error) {
	e := Explanation{Provider: name, Code: code}
	switch name {
	case "twilio":
		return e.byTable(twilio.Codes(), twilio.Codes().Find, "twilio.com/docs/api/errors", "The")
	case "meta":
		return e.byTable(meta.Codes(), meta.Find, "developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes",
			"An answer that says is_transient is transient. Else the")
	case "smtp":
		return e.bySMTP()
	case "http":
		return e.byHTTP()
	}
	return e, fmt.Errorf("no provider %q: one of %s", name, strings.Join(Providers(), ", "))
}

func (e Explanation) byTable(codes api.Codes, find func(int) (api.Code, bool), source, before string) (Explanation, error) {
	number, err := strconv.Atoi(e.Code)
	if err != nil || number < 0 {
		return e, fmt.Errorf("%q is no code of %s: it is a number such as %d", e.Code, e.Provider, codes[len(codes)/2].Code)
	}
	line, known := find(number)
	if !known {
		e.Class, e.Source = "by http status", source
		e.Meaning = "not in the workers' table"
		e.Action = before + " HTTP status of the answer decides: 401, 403, 407, 408, 429 and 5xx are transient, any other 4xx is permanent." + mayBeUs + " `msgctl explain http STATUS` tells more."
		return e, nil
	}
	e.Class, e.Scope, e.Meaning, e.Source = string(line.Class), line.Scope, line.Note, line.Source
	e.Action = action(line.Class, line.Scope)
	if line.Class == api.Permanent && line.Scope != email.AboutRecipient && line.Scope != email.AboutMessage {
		e.Action += mayBeUs
	}
	if line.Class == api.Transient && line.Scope == "provider" {
		e.Action += " Where it comes with HTTP 5xx," + pauses
	}
	return e, nil
}

// action says what the worker does with a class.
func action(c api.Class, scope string) string {
	switch c {
	case api.Permanent:
		if scope == "recipient" {
			return "The recipient is refused for good and not called again. The message ends failed, with a dead letter of failure type permanent."
		}
		return "The message is refused for good and not tried again. It ends failed, with a dead letter of failure type permanent."
	case api.Throttled:
		if held := map[string]string{
			"account": "No call at all", "provider": "No call at all", "sender": "No call of the sender", "recipient": "No call of the sender to that recipient",
		}[scope]; held != "" {
			return "The attempt's status is rate_limited. " + held + " is made until Retry-After (up to RETRY_AFTER_MAX_SECONDS), or for a growing time where the provider does not say; then it is tried again, up to MAX_ATTEMPTS."
		}
		return "The attempt's status is rate_limited. It alone waits for Retry-After (up to RETRY_AFTER_MAX_SECONDS) or the usual backoff, and is tried again, up to MAX_ATTEMPTS."
	case api.SetUp:
		return "Credentials, account or sender have to be fixed: it is tried again with backoff, up to MAX_ATTEMPTS." + pauses
	case api.Transient:
		return "It is tried again with backoff, up to MAX_ATTEMPTS, then ends failed with a dead letter of failure type transient."
	}
	return ""
}

// mayBeUs is what refusals come to that no table takes for the message's own.
const mayBeUs = " BREAKER_REFUSALS of such refusals in a row, of whatever messages, are taken for a refusal of us: all calls pause, and the messages wait."

// pauses is what failures on the provider's side come to.
const pauses = " BREAKER_FAILURES of such in a row pause all calls until a probe succeeds."

// Actions of what is in no table.
const (
	actionUnreadable = "It is taken for accepted and never repeated. If the body cannot be read, the message ends failed with failure type unknown, for a person to look at."
	actionUnknown    = "It is outside the protocol: tried again with backoff, up to MAX_ATTEMPTS, then ends failed with a dead letter of failure type unknown."
)

// classOf names a failure as the tables do.
func classOf(status string, f *common.Failure) api.Class {
	switch {
	case f.Class == models.FailurePermanent:
		return api.Permanent
	case status == models.StatusRateLimited:
		return api.Throttled
	case f.Class == models.FailureTransient:
		return api.Transient
	}
	return ""
}

func (e Explanation) byHTTP() (Explanation, error) {
	status, err := strconv.Atoi(e.Code)
	if err != nil || status < 100 || status > 599 {
		return e, fmt.Errorf("%q is no HTTP status: it is a number from 100 to 599", e.Code)
	}
	e.Meaning, e.Source = strings.ToLower(http.StatusText(status)), fmt.Sprintf("RFC 9110, 15.%d", status/100+1)
	if e.Meaning == "" {
		e.Meaning = "no status of the standard"
	}
	word, f := httpapi.Classify(status, false)
	class := classOf(word, f)
	switch {
	case f.Accepted:
		e.Class, e.Action = "accepted", actionUnreadable
	case class == "":
		e.Class, e.Action = "unknown", actionUnknown
	case class == api.Transient && f.Unreachable && status < 500:
		e.Class, e.Scope, e.Action = string(api.SetUp), "account", action(api.SetUp, "")
	default:
		if status >= 500 || class == api.Throttled {
			e.Scope = "provider"
		}
		e.Class, e.Action = string(class), action(class, e.Scope)
		if f.Unreachable {
			e.Action += pauses
		}
	}
	switch {
	case status >= 500:
		e.Action += " It may have been accepted: AMBIGUOUS_OUTCOME=dlq ends the message instead of repeating it."
	case f.Unexplained != "":
		e.Action += mayBeUs + " With a body that is not in the provider's own form it is a gateway's answer: transient, and BREAKER_FAILURES of such pause all calls."
	}
	return e, nil
}
