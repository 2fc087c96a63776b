package cluster

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/config"
	"messaging-worker/internal/lifetime"
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
	answer := responses[w.name]
	return answer.ErrMessage, cmp.Or(err, answer.Err)
}

func (a *applier) addPartitions(ctx context.Context, w wanted) (string, error) {
	call := a.admin.UpdatePartitions
	if a.dry {
		call = a.admin.ValidateUpdatePartitions
	}
	responses, err := call(ctx, w.partitions, w.name)
	answer := responses[w.name]
	return answer.ErrMessage, cmp.Or(err, answer.Err)
}

func (a *applier) set(ctx context.Context, c Change) (string, error) {
	call := a.admin.AlterTopicConfigs
	if a.dry {
		call = a.admin.ValidateAlterTopicConfigs
	}
	responses, err := call(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: c.Setting, Value: new(c.Wanted)}}, c.Topic)
	answer, missing := responses.On(c.Topic, nil)
	return answer.ErrMessage, cmp.Or(err, answer.Err, missing)
}

// quotaKey is Kafka's name of the bytes a second that a producer may write to
// a broker.
const quotaKey = "producer_byte_rate"

// quota sets that of clients which have none of their own.
func (a *applier) quota(ctx context.Context, channels []*config.Config) []Change {
	want := 0
	for _, c := range channels {
		want = max(want, c.Kafka.Topic.ProducerQuotaBytes)
	}
	if want == 0 {
		return nil
	}
	c := Change{Topic: "(every client id)", Setting: quotaKey, Is: "none", Wanted: strconv.Itoa(want), Result: Raised}
	is, err := a.quotaNow(ctx)
	if is > 0 {
		c.Is = strconv.FormatFloat(is, 'f', -1, 64)
	}
	switch {
	case err != nil:
		c.Is = "unknown"
		c = a.result(c, "DescribeConfigs on the cluster", "", err)
	case is == float64(want):
		c.Result = AsWanted
	case is > float64(want):
		c.Result = Kept
	default:
		message, err := a.setQuota(ctx, float64(want))
		c = a.result(c, "AlterConfigs on the cluster", message, err)
	}
	return []Change{c}
}

// quotaNow returns the quota, 0 where there is none.
func (a *applier) quotaNow(ctx context.Context) (float64, error) {
	quotas, err := a.admin.DescribeClientQuotas(ctx, true, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchType: kmsg.QuotasMatchTypeDefault}})
	for _, q := range quotas {
		for _, v := range q.Values {
			if v.Key == quotaKey {
				return v.Value, nil
			}
		}
	}
	return 0, err //nolint:wrapcheck // the change names it
}

func (a *applier) setQuota(ctx context.Context, bytes float64) (string, error) {
	call := a.admin.AlterClientQuotas
	if a.dry {
		call = a.admin.ValidateAlterClientQuotas
	}
	answers, err := call(ctx, []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id"}},
		Ops:    []kadm.AlterClientQuotaOp{{Key: quotaKey, Value: bytes}},
	}})
	for _, answer := range answers {
		if answer.Err != nil {
			return answer.ErrMessage, answer.Err
		}
	}
	if err == nil && !a.dry {
		a.awaitQuota(ctx, bytes)
	}
	return "", err //nolint:wrapcheck // the change names it
}

// awaitQuota returns once the brokers show the quota, or after a while in which
// they do not: it is set all the same.
func (a *applier) awaitQuota(ctx context.Context, bytes float64) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for {
		if is, err := a.quotaNow(ctx); err != nil || is == bytes || lifetime.Sleep(ctx, showInterval) != nil {
			return
		}
	}
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
