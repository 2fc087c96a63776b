package cluster

import (
	"context"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/config"
)

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
		return []Change{a.result(c, "DescribeConfigs on the cluster", "", err)}
	case is == float64(want):
		c.Result = AsWanted
		return []Change{c}
	case is > float64(want):
		c.Result = Kept
		return []Change{c}
	}
	message, err := a.setQuota(ctx, float64(want))
	if err == nil && !a.dry {
		a.awaitQuota(ctx, float64(want))
	}
	return []Change{a.result(c, "AlterConfigs on the cluster", message, err)}
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

// awaitQuota returns once the brokers show the quota, or after a while in which
// they do not: it is set all the same.
func (a *applier) awaitQuota(ctx context.Context, bytes float64) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for {
		if is, err := a.quotaNow(ctx); err != nil || is == bytes {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
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
	if err != nil {
		return "", err //nolint:wrapcheck // the change names it
	}
	for _, answer := range answers {
		if answer.Err != nil {
			return answer.ErrMessage, answer.Err
		}
	}
	return "", nil
}
