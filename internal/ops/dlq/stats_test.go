package dlq

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
)

func TestStats(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	var s Stats
	for i, l := range []Letter{
		{Timestamp: at}, {Timestamp: at.Add(time.Hour)}, {Timestamp: at.Add(time.Minute)},
	} {
		l.FailureType, l.TenantID = models.FailureTransient, []string{"acme", "", "acme"}[i]
		l.LastError = []string{"b", "a", "c"}[i]
		s.Add(&l)
	}
	want := StatsView{
		Total: 3, Oldest: at, Newest: at.Add(time.Hour), ByType: []Count{{"transient", 3}}, ByTenant: []Count{{"acme", 2}, {"", 1}},
		ByError: []Count{{"a", 1}, {"b", 1}}, ByHour: []Count{{"2026-01-31T09:00:00Z", 2}, {"2026-01-31T10:00:00Z", 1}},
	}
	if diff := cmp.Diff(want, s.View(2)); diff != "" {
		t.Errorf("View (-want +got):\n%s", diff)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	got := codes("permanent error: smtp 550 5.1.1 recipient rejected; twilio 21211, http 400.")
	if diff := cmp.Diff([]string{"550", "5.1.1", "21211", "400"}, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}
