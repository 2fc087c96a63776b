// Package config reads the settings of a process from its environment,
// checks all of them, and reports every mistake at once.
package config

import (
	"strings"
	"time"
)

// Config is the settings of a worker of one channel. Load fills it; every value
// in it has passed its checks.
type Config struct {
	Channel  string // email, sms or whatsapp
	Lane     string // whose topic, group and settings these are: normal, but for what Lanes returns
	Env      string // development, or anything else
	Host     string // empty listens on all addresses
	Port     int    // 0 takes a free port
	LogLevel string

	Kafka    Kafka
	Worker   Worker
	Limits   Limits
	Provider Provider
	Breaker  Breaker
	Mock     Mock
	SMTP     SMTP
	Twilio   Twilio
	Meta     Meta

	ShutdownTimeout time.Duration
	HealthProbe     bool
	Pprof           bool
	OTel            OTel

	high, bulk lane
}

// OTel says where traces go.
type OTel struct {
	Endpoint       string // base URL; empty means none
	TracesEndpoint string // full URL; wins over Endpoint
	Protocol       string
	Exporter       string // none turns traces off
	Disabled       bool
}

// On reports whether traces are wanted.
func (o *OTel) On() bool {
	return !o.Disabled && o.Exporter != "none" && (o.Endpoint != "" || o.TracesEndpoint != "")
}

// Kafka is the connection, and the topics and group of the worker's channel.
type Kafka struct {
	Brokers             []string
	ClientID            string // empty means the binary's name
	RequestTopic        string
	LaneGiven           bool // somebody named the request topic; false: it has a tool's own name
	StatusTopic         string
	DLQTopic            string
	Group               string
	InstanceID          string // empty means no static membership
	SessionTimeout      time.Duration
	Compression         string
	CommitInterval      time.Duration
	CommitOnSuccessOnly bool
	SecurityProtocol    string
	SASLMechanism       string
	SASLUsername        string
	SASLPassword        Secret
	SASLTokenFile       string
	TLSCAFile           string
	TLSCertFile         string
	TLSKeyFile          string
	TempTopic           string
	ControlTopic        string // orders of operators; empty: nobody gives any
	ControlGiven        bool   // somebody named it; false: it has a tool's own name, or none
	Topic               Topic
}

// TLS reports whether connections are encrypted.
func (k *Kafka) TLS() bool { return strings.HasSuffix(k.SecurityProtocol, "SSL") }

// SASL reports whether connections carry credentials.
func (k *Kafka) SASL() bool { return strings.HasPrefix(k.SecurityProtocol, "SASL_") }

// Topic is how topics are created, by the tools and never by a worker.
type Topic struct {
	Partitions, Replication, MinISR, RetentionHours int
	ProducerQuotaBytes                              int // 0 means none
}

// Worker is the life of messages.
type Worker struct {
	MaxAttempts        int
	BaseBackoff        time.Duration
	MaxBackoff         time.Duration
	Concurrency        int
	MaxPendingMessages int
	MaxPendingBytes    int
	MaxAge             time.Duration // 0 means no limit
	ReservedSlots      int           // that calls of normal and bulk leave free
	LowerLaneShare     float64       // least part of the starts for each of them
	ProviderTimeout    time.Duration
	RetryAfterMax      time.Duration
	AmbiguousOutcome   string // retry or dlq
}

// Limits bound what a valid request may hold.
type Limits struct {
	MessageBytes, Recipients, BodyBytes, SMSBodyRunes, WhatsAppBodyBytes, SubjectRunes int
	MetaEntries, MetaKeyRunes, MetaValueRunes                                          int
}

// Provider names the channel's provider and limits how often it is called.
type Provider struct {
	Name                                                string // mock, smtp, twilio or meta
	RatePerSecond, SenderRatePerSecond, GroupRatePerSec float64
}

// Breaker says when a channel pauses because its provider is down.
type Breaker struct {
	Failures int // in a row on the provider's side; 0: they never pause it
	Refusals int // in a row that nothing explains; 0: they never pause it
	Open     time.Duration
}

// LongestCall returns how long one provider call may take at most.
func (c *Config) LongestCall() time.Duration {
	if p := c.provider(); p.longestCall != nil {
		return p.longestCall(c)
	}
	return c.Worker.ProviderTimeout
}

// Error is all that is wrong with the settings.
type Error struct {
	Problems []string // one line each, beginning with the variable's name
}

// Error returns the problems, one a line.
func (e *Error) Error() string { return strings.Join(e.Problems, "\n") }
