package main

import (
	"fmt"
	"strings"

	"messaging-worker/internal/ops/cluster"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/preflight"
)

// What the packages below know nothing of is put into words here: the commands
// and flags of msgctl that help.

const initTopics = "msgctl topics init"

// inWords returns the text of an error and, where a command or a flag helps,
// which, behind the part of the text that it is about.
func inWords(err error) string {
	var inner []error
	switch e := err.(type) { //nolint:errorlint // all that it wraps is looked at
	case interface{ Unwrap() []error }:
		inner = e.Unwrap()
	case interface{ Unwrap() error }:
		inner = []error{e.Unwrap()}
	}
	told, rest := "", err.Error()
	for _, e := range inner {
		if e == nil {
			continue
		}
		if before, after, ok := strings.Cut(rest, e.Error()); ok {
			told, rest = told+before+inWords(e), after
		}
	}
	return told + rest + help(err)
}

// help returns what to add to the text of an error: about itself, not about what
// it wraps.
func help(err error) string {
	e, ok := err.(*fault.Error) //nolint:errorlint // see above
	if !ok {
		return ""
	}
	return map[fault.Kind]string{
		fault.NoBroker:      "; is Kafka running there? set KAFKA_BROKERS or --brokers",
		fault.NoTopic:       "; is its setting right? " + initTopics + " creates topics",
		fault.NoTopicToSend: "; " + initTopics + " creates topics",
		fault.TopicsMissing: "; " + initTopics + " creates topics, and the settings KAFKA_…_TOPIC name them",
		fault.NotShown:      ": see msgctl topics list",
		fault.PassedEnd:     " choose another --group",
		fault.Stopped:       "; run the same command again, it goes on",
		fault.StoppedAt:     "; run the same command again, it goes on there",
		fault.NotKnown:      "; whether it holds: msgctl control list",
		fault.NoPort:        "; is another stack running? choose another --port",
	}[e.Kind]
}

// reasonText names the flag that lifts a reason.
func reasonText(r dlq.Reason) dlq.Reason {
	return r + map[dlq.Reason]dlq.Reason{dlq.TooManyReplays: ", needs --force", dlq.Canceled: ", needs --force", dlq.Invalid: ", needs --set"}[r]
}

// adviceText says what to do about a finding.
func adviceText(list []cluster.Advice) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, oneAdvice(a))
	}
	return strings.Join(texts, "; ")
}

func oneAdvice(a cluster.Advice) string {
	command := initTopics
	if a.Channel != "" {
		command += " --channel " + a.Channel
	}
	switch a.Action {
	case cluster.InitTopics:
		return command + " " + a.Text
	case cluster.AddPartitions:
		command += " --add-partitions"
		if a.Partitions > 0 {
			return fmt.Sprintf("KAFKA_TOPIC_PARTITIONS=%d %s", a.Partitions, command)
		}
		return a.Text + ": " + command
	case cluster.SetBrokers:
		return a.Text + " set KAFKA_BROKERS or --brokers"
	case preflight.SetSettings:
		return "set them right in the environment or in .env; msgctl config print " + a.Channel + " shows where each one comes from"
	}
	return a.Text
}
