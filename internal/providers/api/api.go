// Package api holds the answers of providers that speak HTTP.
package api

import (
	"fmt"
	"time"
)

// Error is an answer that is not an acceptance.
type Error struct {
	Provider   string        // as people write it: "Twilio"
	Status     int           // HTTP status; 0 when no answer came
	Code       int           // the provider's own code; 0 for none
	Message    string        // the provider's own words
	Raw        string        // the answer's body, which may quote the request
	RetryAfter time.Duration // zero when the provider did not say
	RequestID  string        // the provider's name for the call, for its support

	// Class is what the provider's table says of Code; empty for a code that
	// it does not know: then Status decides.
	Class Class
	Scope string // what the table says that Code is about; see Code

	// Unreadable marks an acceptance (2xx) whose body says nothing that can
	// be understood.
	Unreadable bool

	// Foreign marks an answer that is not in the provider's own form: a
	// gateway before the provider has given it.
	Foreign bool

	// Credentials marks an answer that refuses our credentials by its code.
	Credentials bool
}

// Error returns the status and the provider's code.
func (e *Error) Error() string {
	if e.Code != 0 {
		return fmt.Sprintf("http %d (%s %d)", e.Status, e.Provider, e.Code)
	}
	return fmt.Sprintf("http %d", e.Status)
}

// Receipt is an acceptance.
type Receipt struct {
	Status  int    // HTTP status
	Kind    string // what the provider calls its ids: "sid", "wamid"
	ID      string
	Message string // the provider's word for the state: "queued"
}
