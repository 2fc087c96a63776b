package api

import "time"

// Message is what one call delivers to one telephone number.
type Message struct {
	ID        string // the request's message id
	From, To  string // E.164
	Recipient int    // number of To in the request
	CreatedAt time.Time
	Kind      string // what Body is: text, template or media
	Body      string
	MediaType string            // MIME type of media
	Meta      map[string]string // the request's meta, with the variables of templates
}
