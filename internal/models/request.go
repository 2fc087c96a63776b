// Package models holds the wire contract: the payloads that cross Kafka and
// their closed word lists. It is a leaf and knows no transport.
package models

import "time"

// Channel names one of the three ways a message can travel.
type Channel string

// The channels of the service. A channel's topics, group and settings follow
// from its name.
const (
	Email    Channel = "email"
	SMS      Channel = "sms"
	WhatsApp Channel = "whatsapp"
)

// Channels lists every channel in the order used for display.
func Channels() []Channel { return []Channel{Email, SMS, WhatsApp} }

// Envelope is what requests of all channels share. Its strings are trimmed.
type Envelope struct {
	MessageID string            // UUID version 4, lower-case canonical form
	Channel   Channel           // the channel of the topic that it was read from
	TenantID  string            // empty when absent
	TraceID   string            // empty when absent; free text, not W3C
	CreatedAt time.Time         // UTC
	Meta      map[string]string // nil when absent
}

// Body types of requests. BodyTemplate and BodyMedia are WhatsApp's alone,
// BodyHTML is email's alone.
const (
	BodyText     = "text"
	BodyHTML     = "html"
	BodyTemplate = "template"
	BodyMedia    = "media"
)

// Body is what is delivered. Content is as given, never trimmed.
type Body struct {
	Type      string // one of the Body constants; the default text is filled in
	Content   string
	MediaType string // a MIME type; set only when Type is BodyMedia
}

// EmailRequest is a valid request of messages.email.request.
type EmailRequest struct {
	Envelope
	From    string
	To      []string
	CC      []string
	BCC     []string
	Subject string
	Body    Body
}

// PhoneRequest is a valid request of messages.sms.request or
// messages.whatsapp.request.
type PhoneRequest struct {
	Envelope
	From string
	To   []string
	Body Body
}
