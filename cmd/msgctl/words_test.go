package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"messaging-worker/internal/ops/cluster"
	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/preflight"
)

// An error says which command or flag helps, whatever wraps it or stands beside
// it.
func TestErrorsInWords(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	noTopic := func(name string) error { return fault.New(fault.NoTopic, "topic %s does not exist", name) }
	tests := []struct {
		err  error
		want string
	}{
		{cause, "cause"},
		{fault.New(fault.NoBroker, "no broker of a:1 answers: %w", cause), "no broker of a:1 answers: cause; is Kafka running there? set KAFKA_BROKERS or --brokers"},
		{fmt.Errorf("wrapped: %w", noTopic("a")), "wrapped: topic a does not exist; is its setting right? msgctl topics init creates topics"},
		{
			fmt.Errorf("nothing to read: %w", errors.Join(noTopic("a"), noTopic("b"))),
			"nothing to read: topic a does not exist; is its setting right? msgctl topics init creates topics\n" +
				"topic b does not exist; is its setting right? msgctl topics init creates topics",
		},
		{
			fault.New(fault.TopicsMissing, "%w", errors.Join(cause, cause)),
			"cause\ncause; msgctl topics init creates topics, and the settings KAFKA_…_TOPIC name them",
		},
		{fmt.Errorf("%w (%w)", noTopic("a"), cause), "topic a does not exist; is its setting right? msgctl topics init creates topics (cause)"},
		{errors.Join(noTopic("a"), noTopic("a")), strings.Repeat("\ntopic a does not exist; is its setting right? msgctl topics init creates topics", 2)[1:]},
		{
			errors.Join(fault.New(fault.StoppedAt, "put d/1/2 back: %w", cause), errors.New("note the progress")),
			"put d/1/2 back: cause; run the same command again, it goes on there\nnote the progress",
		},
	}
	for _, tt := range tests {
		if got := inWords(tt.err); got != tt.want {
			t.Errorf("inWords(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestAdviceInWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		advice cluster.Advice
		want   string
	}{
		{cluster.Advice{Text: "see permissions"}, "see permissions"},
		{cluster.Advice{Action: cluster.InitTopics, Text: "creates it"}, "msgctl topics init creates it"},
		{cluster.Advice{Action: cluster.InitTopics, Channel: "sms", Text: "raises its retention"}, "msgctl topics init --channel sms raises its retention"},
		{cluster.Advice{Action: cluster.AddPartitions, Channel: "sms", Text: "same number"}, "same number: msgctl topics init --channel sms --add-partitions"},
		{cluster.Advice{Action: cluster.AddPartitions, Channel: "sms", Partitions: 6}, "KAFKA_TOPIC_PARTITIONS=6 msgctl topics init --channel sms --add-partitions"},
		{cluster.Advice{Action: cluster.SetBrokers, Text: "is Kafka running there?"}, "is Kafka running there? set KAFKA_BROKERS or --brokers"},
		{
			cluster.Advice{Action: preflight.SetSettings, Channel: "sms"},
			"set them right in the environment or in .env; msgctl config print sms shows where each one comes from",
		},
	}
	for _, tt := range tests {
		if got := adviceText([]cluster.Advice{tt.advice, {Text: "more"}}); got != tt.want+"; more" {
			t.Errorf("adviceText(%v) = %q, want %q", tt.advice, got, tt.want+"; more")
		}
	}
}
