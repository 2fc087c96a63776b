package cluster

import (
	"context"
	"slices"
	"strings"

	"messaging-worker/internal/kafka"
)

// journal checks that the status topic keeps what a restart needs.
func (c *checker) journal(ctx context.Context, o *ofChannel) Finding {
	if !o.Kafka.CommitOnSuccessOnly {
		return finding(OK, "not needed with COMMIT_ON_SUCCESS_ONLY=false")
	}
	if !o.journalThere() {
		return finding(Skipped, seeTopics)
	}
	if slices.ContainsFunc(append(o.requests(), o.status), func(t *topic) bool { return t.settingsErr != nil }) {
		which := "both topics"
		if len(o.lanes) > 1 {
			which = "the topics of requests and of events"
		}
		return finding(Skipped, "not known without DescribeConfigs on "+which)
	}
	faults, err := c.journalFaults(ctx, o)
	switch {
	case err != nil:
		return finding(Fail, err.Error(), Advice{Text: seeLogs})
	case len(faults) == 0:
		return finding(OK, o.status.name+" keeps its events as long as their requests are there")
	}
	advice := []Advice{o.initTopics("raises its retention")}
	if strings.Contains(o.status.settings[cleanupPolicy], "compact") {
		advice = append(advice, Advice{Text: setPolicy(o.status.name, "delete")})
	}
	seen := o.status.name + ": " + strings.Join(faults, "; ") + ": a crash may send messages again"
	return finding(Fail, seen, advice...)
}

// journalFaults lists what is wrong for the requests of any lane, each once, and
// names the lanes where it is not so for all.
func (c *checker) journalFaults(ctx context.Context, o *ofChannel) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var list []string
	lanes := map[string][]string{}
	for _, l := range o.lanes {
		faults, err := kafka.JournalFaults(ctx, c.client, l.request.name, o.status.name)
		if err != nil {
			return nil, err
		}
		for _, fault := range faults {
			if lanes[fault] == nil {
				list = append(list, fault)
			}
			lanes[fault] = append(lanes[fault], l.Lane)
		}
	}
	for i, fault := range list {
		if of := lanes[fault]; len(of) < len(o.lanes) {
			list[i] += " (" + strings.Join(of, ", ") + ")"
		}
	}
	return list, nil
}
