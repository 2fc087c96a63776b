// Package api holds the answers of providers that speak HTTP.
package api

import (
	"fmt"
	"slices"
	"time"
)

// Message is what one call delivers to one telephone number.
type Message struct {
	ID        string // the request's message id
	From, To  string // E.164
	Recipient int    // number of To in the request
	CreatedAt time.Time
	ExpiresAt time.Time // when it is worth nothing any more; zero for never
	Kind      string    // what Body is: text, template or media
	Body      string
	MediaType string            // MIME type of media
	Meta      map[string]string // the request's meta, with the variables of templates
}

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

// Class is what a provider's code means for the message.
type Class string

// The classes of codes.
const (
	Permanent Class = "permanent" // this message or recipient is refused for good
	Transient Class = "transient" // a later attempt may succeed
	Throttled Class = "throttled" // transient: we are too fast
	SetUp     Class = "set-up"    // transient: credentials, account or sender have to be fixed
)

// Code is one line of a provider's table of codes.
type Code struct {
	Code   int
	Class  Class
	Scope  string // what it is about: message, recipient, sender, account, provider
	Note   string // what it says, in a few words
	Source string // where that is written

	Credentials bool // it refuses our credentials
}

// Codes is a provider's table, ascending by code.
type Codes []Code

// Find returns the line of a code.
func (t Codes) Find(code int) (Code, bool) {
	i, ok := slices.BinarySearchFunc(t, code, func(c Code, code int) int { return c.Code - code })
	if !ok {
		return Code{}, false
	}
	return t[i], true
}
