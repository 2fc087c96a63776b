package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// JournalFaults lists the topic settings with which the status topic may lose
// events of requests that are still in the request topic. With such a fault a
// crash may repeat messages; nothing is lost. The error means that the brokers
// did not answer.
func JournalFaults(ctx context.Context, cl *kgo.Client, requests, status string) ([]string, error) {
	found, err := TopicSettings(ctx, cl, requests, status)
	if err != nil {
		return nil, err
	}
	return faults(found[requests], found[status]), nil
}

func faults(requests, status map[string]string) []string {
	var list []string
	if policy := status["cleanup.policy"]; strings.Contains(policy, "compact") {
		list = append(list, fmt.Sprintf("cleanup.policy is %s, want delete: compaction removes events", policy))
	}
	for _, setting := range []struct {
		key  string
		tell func(int64) string
	}{
		{"retention.ms", func(n int64) string { return (time.Duration(n) * time.Millisecond).String() }},
		{"retention.bytes", func(n int64) string { return strconv.FormatInt(n, 10) }},
	} {
		kept, ok := limit(status[setting.key])
		wanted, ok2 := limit(requests[setting.key])
		if ok && ok2 && kept < wanted {
			list = append(list, fmt.Sprintf(
				"%s is %s, less than the request topic's: events go while their requests are still there",
				setting.key, setting.tell(kept),
			))
		}
	}
	return list
}

// limit reads a retention; -1 means none.
func limit(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if n < 0 {
		n = 1<<63 - 1
	}
	return n, err == nil
}
