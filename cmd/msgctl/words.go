package main

import (
	"errors"
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
// which.
func inWords(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []string
		var plain []string
		for _, e := range joined.Unwrap() {
			lines, plain = append(lines, inWords(e)), append(plain, e.Error())
		}
		if strings.Join(plain, "\n") == err.Error() {
			return strings.Join(lines, "\n")
		}
	}
	if inner := errors.Unwrap(err); inner != nil {
		// Of what is wrapped the end is the inner text: it may be a join.
		if before, ok := strings.CutSuffix(err.Error(), inner.Error()); ok {
			return before + inWords(inner) + help(err)
		}
	}
	return err.Error() + help(err)
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
		fault.NoPort:        "; is another stack running? choose another --port",
	}[e.Kind]
}

// reasonText names the flag that lifts a reason.
func reasonText(r dlq.Reason) dlq.Reason {
	switch r {
	case dlq.TooManyReplays:
		return r + ", needs --force"
	case dlq.Invalid:
		return r + ", needs --set"
	}
	return r
}

func reasonTexts(counts map[dlq.Reason]int) map[dlq.Reason]int {
	out := map[dlq.Reason]int{}
	for reason, n := range counts {
		out[reasonText(reason)] = n
	}
	return out
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
