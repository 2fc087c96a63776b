// Package sms holds the providers that deliver SMS messages: one call reaches
// one number.
package sms

import "time"

// Message is what one call delivers to one number.
type Message struct {
	ID        string // the request's message id
	Attempt   int    // from 1
	From      string // E.164
	To        string // E.164
	Index     int    // number of the recipient in the request
	Last      int    // number of the request's last recipient
	CreatedAt time.Time
	Body      string
	// Meta is the request's meta: hints for the mock, variables for templates.
	Meta map[string]string
}
