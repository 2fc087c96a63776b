package config

import (
	"math"
	"slices"
	"strings"
)

// setting is one row of the table that everything else follows from: parsing,
// --help, the check for unknown names and the test of .env.example.
type setting struct {
	section  string // for people
	name     string
	fallback string // the default, parsed like a value; empty means none
	meaning  string
	parse    parser  // nil for secrets
	secret   *Secret // the secret's place; it may also be given as NAME_FILE
	fixed    bool    // cannot be set per channel: the name says the channel already, or it is one for all
	perLane  bool    // may be set for a lane too, as HIGH_NAME and BULK_NAME
	toolName string  // the default of tools, where workers have none
	required bool
}

// variables lists the variables that may set the row for a channel, the one that
// wins first. A secret may also be set by NAME_FILE of each.
func (row *setting) variables(channel string) []string {
	if row.fixed {
		return []string{row.name}
	}
	return []string{strings.ToUpper(channel) + "_" + row.name, row.name}
}

// check parses a value of a row that is no secret.
func (row *setting) check(value string) error {
	if quoted(value) {
		_ = row.parse(value[1 : len(value)-1]) // so that nothing asks for it as missing
		return errQuoted
	}
	return row.parse(value)
}

// under puts rows into a section.
func under(title string, rows []setting) []setting {
	for i := range rows {
		rows[i].section = title
	}
	return rows
}

// table returns all settings, bound to c.
func table(c *Config) []setting {
	return slices.Concat(
		processRows(c),
		kafkaRows(&c.Kafka),
		topicRows(c),
		messageRows(c),
		limitRows(c),
		providerRows(c),
	)
}

func processRows(c *Config) []setting {
	return under("Process", []setting{
		{name: "APP_ENV", fallback: "development", meaning: "development: console log; anything else: JSON, one object a line", parse: into(&c.Env, line)},
		{name: "APP_PORT", fallback: "8080", meaning: "HTTP port of the health checks; 0 takes a free one and logs it", parse: into(&c.Port, whole(0, 65535))},
		{name: "APP_HOST", meaning: "HTTP listen address; empty means all", parse: into(&c.Host, host)},
		{name: "LOG_LEVEL", fallback: "info", meaning: "trace, debug, info, warn, error, fatal, panic or disabled", parse: into(&c.LogLevel, oneOf("trace", "debug", "info", "warn", "error", "fatal", "panic", "disabled"))},
		{name: "SHUTDOWN_TIMEOUT_SECONDS", meaning: "how long a drain may take after a signal (default: the longest a provider call may take, plus 5)", parse: into(&c.ShutdownTimeout, duration)},
		{name: "HEALTH_ENABLE_PROVIDER_PROBE", fallback: "false", meaning: "readiness also asks the provider", parse: into(&c.HealthProbe, boolean)},
		{name: "PPROF_ENABLED", fallback: "false", meaning: "profiles and the list of unfinished messages on a loopback port: 6060, or a free one, which is logged", parse: into(&c.Pprof, boolean)},
		{name: "OTEL_EXPORTER_OTLP_ENDPOINT", meaning: "base URL of the collector that traces go to, over HTTP; the SDK reads the other standard OTEL_ variables; empty turns traces off", parse: into(&c.OTel.Endpoint, baseURL)},
		{name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", meaning: "the same with its full path, for traces alone", parse: into(&c.OTel.TracesEndpoint, baseURL)},
		{name: "OTEL_EXPORTER_OTLP_PROTOCOL", fallback: "http/protobuf", meaning: "http/protobuf is the only one supported", parse: into(&c.OTel.Protocol, text)},
		{name: "OTEL_TRACES_EXPORTER", fallback: "otlp", meaning: "none turns traces off", parse: into(&c.OTel.Exporter, oneOf("otlp", "none"))},
		{name: "OTEL_SDK_DISABLED", fallback: "false", meaning: "true turns traces off", parse: into(&c.OTel.Disabled, boolean)},
	})
}

func messageRows(c *Config) []setting {
	return under("Messages", []setting{
		{name: "MAX_ATTEMPTS", perLane: true, fallback: "3", meaning: "attempts for one message, the first included; 1 to 100", parse: into(&c.Worker.MaxAttempts, whole(1, 100))},
		{name: "BASE_BACKOFF_SECONDS", perLane: true, fallback: "10", meaning: "wait before attempt n+1 is uniform in [0, min(max, base*2^(n-1))]", parse: into(&c.Worker.BaseBackoff, duration)},
		{name: "MAX_BACKOFF_SECONDS", perLane: true, fallback: "120", meaning: "the most that a backoff may wait", parse: into(&c.Worker.MaxBackoff, duration)},
		{name: "WORKER_CONCURRENCY", fallback: "10", meaning: "provider calls under way at once in the process", parse: into(&c.Worker.Concurrency, count)},
		{name: "HIGH_RESERVED_SLOTS", meaning: "of these, how many calls of the lanes normal and bulk leave free together; 0 to one less than the slots (default: a tenth, rounded up; 0 without a lane high or with one slot)", parse: into(&c.Worker.ReservedSlots, whole(0, math.MaxInt32))},
		{name: "LOWER_LANE_SHARE", fallback: "0.1", meaning: "least part of the starts that each lower lane gets while a message of it waits; 0 to 0.3", parse: into(&c.Worker.LowerLaneShare, part(0.3))},
		{name: "MAX_PENDING_MESSAGES", perLane: true, fallback: "10000", meaning: "messages read and not finished at which reading pauses", parse: into(&c.Worker.MaxPendingMessages, count)},
		{name: "MAX_PENDING_BYTES", perLane: true, fallback: "67108864", meaning: "the same bound in bytes of payload; one message is always admitted", parse: into(&c.Worker.MaxPendingBytes, count)},
		{name: "COMMIT_ON_SUCCESS_ONLY", fallback: "true", meaning: "true: commit an offset after the message's outcome (at least once); false: before its first provider call (at most once)", parse: into(&c.Kafka.CommitOnSuccessOnly, boolean)},
		{name: "COMMIT_INTERVAL_SECONDS", fallback: "1", meaning: "how often finished offsets are committed", parse: into(&c.Kafka.CommitInterval, duration)},
		{name: "MESSAGE_MAX_AGE_SECONDS", perLane: true, fallback: "0", meaning: "a request older than this is not sent any more; 0 means no limit", parse: into(&c.Worker.MaxAge, duration)},
		{name: "PROVIDER_TIMEOUT_SECONDS", fallback: "30", meaning: "hard limit of one provider call", parse: into(&c.Worker.ProviderTimeout, seconds(1e-9, tenDays))},
		{name: "RETRY_AFTER_MAX_SECONDS", fallback: "600", meaning: "a provider's Retry-After is honoured up to this", parse: into(&c.Worker.RetryAfterMax, duration)},
		{name: "AMBIGUOUS_OUTCOME", perLane: true, fallback: "retry", meaning: "a call that may have been accepted: retry, or dlq", parse: into(&c.Worker.AmbiguousOutcome, oneOf("retry", "dlq"))},
		{name: "PROVIDER_RATE_PER_SECOND", fallback: "0", meaning: "provider calls started per second in the process; 0 means no limit", parse: into(&c.Provider.RatePerSecond, rate)},
		{name: "SENDER_RATE_PER_SECOND", fallback: "0", meaning: "the same for each from", parse: into(&c.Provider.SenderRatePerSecond, rate)},
		{name: "GROUP_RATE_PER_SECOND", fallback: "0", meaning: "the same for the whole consumer group", parse: into(&c.Provider.GroupRatePerSec, rate)},
		{name: "BREAKER_FAILURES", fallback: "5", meaning: "failures of the provider in a row after which the channel pauses; 0 turns this off", parse: into(&c.Breaker.Failures, whole(0, math.MaxInt32))},
		{name: "BREAKER_REFUSALS", fallback: "10", meaning: "permanent refusals in a row, over all messages and recipients, that no table takes for the recipient's or the content's own, after which the channel pauses likewise; 0 turns this off", parse: into(&c.Breaker.Refusals, whole(0, math.MaxInt32))},
		{name: "BREAKER_OPEN_SECONDS", fallback: "5", meaning: "time between probes while the channel pauses; with refused credentials it doubles up to five minutes, until the secret's file changes", parse: into(&c.Breaker.Open, duration)},
	})
}

func limitRows(c *Config) []setting {
	recipients := "100"
	if c.Channel == "sms" {
		recipients = "10"
	}
	return under("Limits of a request", []setting{
		{name: "MSG_MAX_BYTES", fallback: "8388608", meaning: "a whole request record", parse: into(&c.Limits.MessageBytes, count)},
		{name: "RECIPIENTS_MAX", fallback: recipients, meaning: "each recipient list (default: email 100, sms 10, whatsapp 100)", parse: into(&c.Limits.Recipients, count)},
		{name: "BODY_MAX_BYTES", fallback: "2097152", meaning: "email body.content in bytes", parse: into(&c.Limits.BodyBytes, count)},
		{name: "SMS_BODY_MAX", fallback: "1600", meaning: "SMS body.content in runes", parse: into(&c.Limits.SMSBodyRunes, count)},
		{name: "WA_BODY_MAX", fallback: "4096", meaning: "WhatsApp body.content in bytes", parse: into(&c.Limits.WhatsAppBodyBytes, count)},
		{name: "SUBJECT_MAX_RUNES", fallback: "255", meaning: "email subject in runes", parse: into(&c.Limits.SubjectRunes, count)},
		{name: "METADATA_MAX_ENTRIES", fallback: "50", meaning: "entries of meta", parse: into(&c.Limits.MetaEntries, count)},
		{name: "METADATA_KEY_MAX_RUNES", fallback: "128", meaning: "a key of meta in runes", parse: into(&c.Limits.MetaKeyRunes, count)},
		{name: "METADATA_VALUE_MAX_RUNES", fallback: "1024", meaning: "a value of meta in runes", parse: into(&c.Limits.MetaValueRunes, count)},
	})
}
