// Package models holds the wire contract: the payloads that cross Kafka and
// their closed word lists. It is a leaf and knows no transport.
package models

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
