package dlq

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
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
		s.Add(&l, models.LaneNormal)
	}
	want := StatsView{
		Total: 3, Oldest: at, Newest: at.Add(time.Hour), ByType: []Count{{"transient", 3}}, ByTenant: []Count{{"acme", 2}, {"", 1}},
		ByError: []Count{{"a", 1}, {"b", 1}}, ByHour: []Count{{"2026-01-31T09:00:00Z", 2}, {"2026-01-31T10:00:00Z", 1}},
	}
	if diff := cmp.Diff(want, s.View(2)); diff != "" {
		t.Errorf("View (-want +got):\n%s", diff)
	}
}

func TestStatsByLane(t *testing.T) {
	t.Parallel()
	var s Stats
	for _, lane := range []models.Lane{models.LaneHigh, models.LaneBulk, models.LaneBulk} {
		s.Add(&Letter{}, lane)
	}
	if diff := cmp.Diff([]Count{{"bulk", 2}, {"high", 1}}, s.View(0).ByLane); diff != "" {
		t.Errorf("by lane (-want +got):\n%s", diff)
	}
}

// A request of a topic that is no lane's goes to normal, and counts there.
func TestFilterByLane(t *testing.T) {
	t.Parallel()
	lanes := ops.Lanes{"r": models.LaneNormal, "r.high": models.LaneHigh}
	for _, tt := range []struct {
		lanes  []models.Lane
		source string
		want   bool
	}{
		{nil, "r.high", true},
		{[]models.Lane{models.LaneHigh}, "r.high", true},
		{[]models.Lane{models.LaneHigh}, "r", false},
		{[]models.Lane{models.LaneHigh}, "old", false},
		{[]models.Lane{models.LaneNormal}, "r", true},
		{[]models.Lane{models.LaneNormal}, "r.high", false},
		{[]models.Lane{models.LaneNormal}, "old", true},
		{[]models.Lane{models.LaneNormal}, "", true},
		{[]models.Lane{models.LaneNormal, models.LaneHigh}, "r.high", true},
		{[]models.Lane{models.LaneBulk}, "r", false},
	} {
		f := Filter{Lanes: tt.lanes, ByTopic: lanes}
		if got := f.Match(&Letter{View: View{Source: Position{Topic: tt.source}}}); got != tt.want {
			t.Errorf("Match of %q with lanes %v = %v, want %v", tt.source, tt.lanes, got, tt.want)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	got := codes("permanent error: smtp 550 5.1.1 recipient rejected; twilio 21211, http 400.")
	if diff := cmp.Diff([]string{"550", "5.1.1", "21211", "400"}, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}
