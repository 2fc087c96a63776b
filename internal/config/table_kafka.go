package config

import (
	"math"
	"strings"
)

func kafkaRows(k *Kafka) []setting {
	return under("Kafka", []setting{
		{name: "KAFKA_BROKERS", meaning: "comma-separated host:port", parse: into(&k.Brokers, brokers), required: true},
		{name: "KAFKA_CLIENT_ID", meaning: "client id (default: the binary's name)", parse: into(&k.ClientID, line)},
		{name: "KAFKA_SECURITY_PROTOCOL", fallback: "PLAINTEXT", meaning: "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", parse: into(&k.SecurityProtocol, oneOf("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"))},
		{name: "KAFKA_SASL_MECHANISM", meaning: "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", parse: into(&k.SASLMechanism, oneOf("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"))},
		{name: "KAFKA_SASL_USERNAME", meaning: "for all mechanisms but OAUTHBEARER", parse: into(&k.SASLUsername, line)},
		{name: "KAFKA_SASL_PASSWORD", meaning: "for all mechanisms but OAUTHBEARER", secret: &k.SASLPassword},
		{name: "KAFKA_SASL_TOKEN_FILE", meaning: "file with the token, for OAUTHBEARER", parse: into(&k.SASLTokenFile, file)},
		{name: "KAFKA_TLS_CA_FILE", meaning: "PEM file of the CA; empty means the system's", parse: into(&k.TLSCAFile, certificates)},
		{name: "KAFKA_TLS_CERT_FILE", meaning: "PEM file of the client's certificate, for mutual TLS", parse: into(&k.TLSCertFile, certificates)},
		{name: "KAFKA_TLS_KEY_FILE", meaning: "PEM file of the client's key, for mutual TLS", parse: into(&k.TLSKeyFile, file)},
		{name: "KAFKA_SESSION_TIMEOUT_SECONDS", fallback: "10", meaning: "how long a silent member keeps its partitions; 6 to 1800", parse: into(&k.SessionTimeout, seconds(6, 1800))},
		{name: "KAFKA_GROUP_INSTANCE_ID", meaning: "static membership: a restarted worker takes its partitions back at once", parse: into(&k.InstanceID, kafkaName)},
		{name: "KAFKA_COMPRESSION", fallback: "lz4", meaning: "none, gzip, snappy, lz4 or zstd for what the worker writes; all clients read gzip, not all lz4", parse: into(&k.Compression, oneOf("none", "gzip", "snappy", "lz4", "zstd"))},
	})
}

// channelNames are the words that settings begin with.
func channelNames() []string { return []string{"EMAIL", "SMS", "WHATSAPP"} }

func topicRows(c *Config) []setting {
	k, t := &c.Kafka, &c.Kafka.Topic
	var rows []setting
	for _, name := range channelNames() {
		channel := strings.ToLower(name)
		topics := "messages." + channel + "."
		for _, row := range []setting{
			{name: "KAFKA_" + name + "_REQUEST_TOPIC", meaning: "requests of the " + channel + " channel", required: true, toolName: topics + "request", parse: into(&k.RequestTopic, kafkaName)},
			{name: "KAFKA_" + name + "_STATUS_TOPIC", meaning: "its status events", required: true, toolName: topics + "status", parse: into(&k.StatusTopic, kafkaName)},
			{name: "KAFKA_" + name + "_DLQ_TOPIC", meaning: "its dead letters", required: true, toolName: topics + "dlq", parse: into(&k.DLQTopic, kafkaName)},
			{name: name + "_CONSUMER_GROUP", meaning: "its consumer group", required: true, toolName: channel + "-workers", parse: into(&k.Group, line)},
			{name: "KAFKA_" + name + "_REQUEST_TOPIC_HIGH", meaning: "requests that are served before those; group and .high (empty: this lane does not exist)", toolName: topics + "request.high", parse: into(&c.high.topic, kafkaName)},
			{name: "KAFKA_" + name + "_REQUEST_TOPIC_BULK", meaning: "requests that are served after those; group and .bulk (empty: this lane does not exist)", toolName: topics + "request.bulk", parse: into(&c.bulk.topic, kafkaName)},
		} {
			if row.required {
				row.meaning += " (required for the worker's own channel)"
			}
			row.fixed = true
			if channel != c.Channel { // another channel's worker reads it
				row.required, row.parse = false, into(new(string), text)
			}
			rows = append(rows, row)
		}
	}
	return under("Topics and groups", append(rows, []setting{
		{name: "KAFKA_CONTROL_TOPIC", fixed: true, meaning: "orders of operators, one topic for all channels (empty: nobody gives any)", toolName: "messages.control", parse: into(&k.ControlTopic, kafkaName)},
		{name: "KAFKA_TOPIC_PARTITIONS", fallback: "12", meaning: "partitions of topics that tools create; a worker creates none", parse: into(&t.Partitions, count)},
		{name: "KAFKA_TOPIC_REPLICATION", fallback: "1", meaning: "their replication factor", parse: into(&t.Replication, whole(1, math.MaxInt16))},
		{name: "KAFKA_TOPIC_MIN_ISR", fallback: "1", meaning: "their min.insync.replicas", parse: into(&t.MinISR, whole(1, math.MaxInt16))},
		{name: "KAFKA_TOPIC_RETENTION_HOURS", fallback: "168", meaning: "their retention", parse: into(&t.RetentionHours, count)},
		{name: "KAFKA_PRODUCER_QUOTA_BYTES", fallback: "0", meaning: "producer quota in bytes a second that tools set; 0 means none", parse: into(&t.ProducerQuotaBytes, whole(0, math.MaxInt32))},
		{name: "KAFKA_TEMP_TOPIC", fallback: "messages.connection-check", meaning: "used by the connection check alone", parse: into(&k.TempTopic, kafkaName)},
	}...))
}
