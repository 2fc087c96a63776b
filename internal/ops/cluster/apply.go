package cluster

import (
	"context"
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// applier carries changes out, or in a dry run has the brokers validate them.
type applier struct {
	admin *kadm.Client
	dry   bool
}

// apply returns the change with its real result.
func (a *applier) apply(ctx context.Context, w wanted, c Change) Change {
	var err error
	var message, operation string
	switch {
	case c.Result == Created:
		operation = "Create"
		message, err = a.create(ctx, w)
	case c.Result == Raised && c.Setting == partitionSetting:
		operation = "Alter"
		message, err = a.addPartitions(ctx, w)
	case c.Result == Raised:
		operation = "AlterConfigs"
		message, err = a.set(ctx, c)
	default:
		return c
	}
	return a.result(c, operation, message, err)
}

// result records in a change how it went.
func (a *applier) result(c Change, operation, message string, err error) Change {
	switch {
	case err != nil:
		c.Result, c.Note = Refused, refusal(operation, err, message)
	case a.dry:
		c.Result = "would be " + c.Result
	}
	return c
}

func (a *applier) create(ctx context.Context, w wanted) (string, error) {
	call := a.admin.CreateTopics
	if a.dry {
		call = a.admin.ValidateCreateTopics
	}
	responses, err := call(ctx, int32(w.partitions), int16(w.replication), w.config(), w.name) //nolint:gosec // the settings have these bounds
	if err != nil {
		return "", err //nolint:wrapcheck // the change names the topic
	}
	answer := responses[w.name]
	return answer.ErrMessage, answer.Err
}

func (a *applier) addPartitions(ctx context.Context, w wanted) (string, error) {
	call := a.admin.UpdatePartitions
	if a.dry {
		call = a.admin.ValidateUpdatePartitions
	}
	responses, err := call(ctx, w.partitions, w.name)
	if err != nil {
		return "", err //nolint:wrapcheck // the change names the topic
	}
	return responses[w.name].ErrMessage, responses[w.name].Err
}

func (a *applier) set(ctx context.Context, c Change) (string, error) {
	call := a.admin.AlterTopicConfigs
	if a.dry {
		call = a.admin.ValidateAlterTopicConfigs
	}
	responses, err := call(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: c.Setting, Value: new(c.Wanted)}}, c.Topic)
	if err != nil {
		return "", err //nolint:wrapcheck // the change names the topic
	}
	for _, answer := range responses {
		if answer.Err != nil {
			return answer.ErrMessage, answer.Err
		}
	}
	return "", nil
}

// refusal says why brokers refuse an operation and what to do.
func refusal(operation string, err error, message string) string {
	why := err.Error()
	if message != "" {
		why = strings.TrimSuffix(message, ".")
	}
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return "no permission to " + operation + " (ACL): grant it to the user of these settings, or let an administrator run this"
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return why + ": start more brokers, or lower KAFKA_TOPIC_REPLICATION"
	case errors.Is(err, kerr.TopicAlreadyExists):
		return "somebody else creates it just now: run this again, to compare it"
	case errors.Is(err, kerr.InvalidTopicException):
		return why + ": choose another name"
	case errors.Is(err, kerr.PolicyViolation):
		return why + ": the cluster has a policy against it; ask who runs it"
	}
	return why
}
