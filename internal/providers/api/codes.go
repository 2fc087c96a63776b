package api

import "slices"

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
