package config

import (
	"math"
	"strings"
)

func kafkaSection(c *Config) section {
	k := &c.Kafka
	return section{"Kafka", []setting{
		{name: "KAFKA_BROKERS", meaning: "comma-separated host:port", parse: brokers(&k.Brokers), required: true},
		{name: "KAFKA_CLIENT_ID", meaning: "client id (default: the binary's name)", parse: line(&k.ClientID)},
		{name: "KAFKA_SECURITY_PROTOCOL", fallback: "PLAINTEXT", meaning: "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", parse: oneOf(&k.SecurityProtocol, "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")},
		{name: "KAFKA_SASL_MECHANISM", meaning: "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", parse: oneOf(&k.SASLMechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")},
		{name: "KAFKA_SASL_USERNAME", meaning: "for all mechanisms but OAUTHBEARER", parse: line(&k.SASLUsername)},
		{name: "KAFKA_SASL_PASSWORD", meaning: "for all mechanisms but OAUTHBEARER", secret: &k.SASLPassword},
		{name: "KAFKA_SASL_TOKEN_FILE", meaning: "file with the token, for OAUTHBEARER", parse: file(&k.SASLTokenFile)},
		{name: "KAFKA_TLS_CA_FILE", meaning: "PEM file of the CA; empty means the system's", parse: certificates(&k.TLSCAFile)},
		{name: "KAFKA_TLS_CERT_FILE", meaning: "PEM file of the client's certificate, for mutual TLS", parse: certificates(&k.TLSCertFile)},
		{name: "KAFKA_TLS_KEY_FILE", meaning: "PEM file of the client's key, for mutual TLS", parse: file(&k.TLSKeyFile)},
		{name: "KAFKA_SESSION_TIMEOUT_SECONDS", fallback: "10", meaning: "how long a silent member keeps its partitions; 6 to 1800", parse: seconds(&k.SessionTimeout, 6, 1800)},
		{name: "KAFKA_GROUP_INSTANCE_ID", meaning: "static membership: a restarted worker takes its partitions back at once", parse: kafkaName(&k.InstanceID)},
		{name: "KAFKA_COMPRESSION", fallback: "lz4", meaning: "none, gzip, snappy, lz4 or zstd for what the worker writes; all clients read gzip, not all lz4", parse: oneOf(&k.Compression, "none", "gzip", "snappy", "lz4", "zstd")},
	}}
}

// channelNames are the words that settings begin with.
func channelNames() []string { return []string{"EMAIL", "SMS", "WHATSAPP"} }

func topicSection(c *Config) section {
	s := section{title: "Topics and groups"}
	for _, name := range channelNames() {
		own := strings.EqualFold(name, c.Channel)
		lower := strings.ToLower(name)
		for _, row := range []struct {
			name, meaning string
			dst           *string
		}{
			{"KAFKA_" + name + "_REQUEST_TOPIC", "requests of the " + lower + " channel", &c.Kafka.RequestTopic},
			{"KAFKA_" + name + "_STATUS_TOPIC", "its status events", &c.Kafka.StatusTopic},
			{"KAFKA_" + name + "_DLQ_TOPIC", "its dead letters", &c.Kafka.DLQTopic},
			{name + "_CONSUMER_GROUP", "its consumer group", &c.Kafka.Group},
		} {
			parse := parser(ignored)
			switch {
			case own && strings.HasSuffix(row.name, "_TOPIC"):
				parse = kafkaName(row.dst)
			case own:
				parse = line(row.dst)
			}
			s.rows = append(s.rows, setting{name: row.name, meaning: row.meaning + " (required for the worker's own channel)", parse: parse, fixed: true, required: own})
		}
	}
	t := &c.Kafka.Topic
	s.rows = append(
		s.rows,
		setting{name: "KAFKA_TOPIC_PARTITIONS", fallback: "12", meaning: "partitions of topics that tools create; a worker creates none", parse: count(&t.Partitions)},
		setting{name: "KAFKA_TOPIC_REPLICATION", fallback: "1", meaning: "their replication factor", parse: whole(&t.Replication, 1, math.MaxInt16)},
		setting{name: "KAFKA_TOPIC_MIN_ISR", fallback: "1", meaning: "their min.insync.replicas", parse: whole(&t.MinISR, 1, math.MaxInt16)},
		setting{name: "KAFKA_TOPIC_RETENTION_HOURS", fallback: "168", meaning: "their retention", parse: count(&t.RetentionHours)},
		setting{name: "KAFKA_PRODUCER_QUOTA_BYTES", fallback: "0", meaning: "producer quota in bytes a second that tools set; 0 means none", parse: whole(&t.ProducerQuotaBytes, 0, math.MaxInt32)},
		setting{name: "KAFKA_TEMP_TOPIC", fallback: "messages.connection-check", meaning: "used by the connection check alone", parse: kafkaName(&c.Kafka.TempTopic)},
	)
	return s
}
