package dlq

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"messaging-worker/internal/models"
)

// Stats counts dead letters. The zero Stats has none.
type Stats struct {
	Total    int
	Oldest   time.Time // zero where there is none
	Newest   time.Time
	ByType   map[models.FailureType]int
	ByLane   map[models.Lane]int
	ByTenant map[string]int // "" for those without one
	ByError  map[string]int
	ByHour   map[time.Time]int // by its start, UTC
}

// Add counts one more, whose request came by that lane.
func (s *Stats) Add(l *Letter, lane models.Lane) {
	if s.ByType == nil {
		s.ByType, s.ByLane, s.ByTenant = map[models.FailureType]int{}, map[models.Lane]int{}, map[string]int{}
		s.ByError, s.ByHour = map[string]int{}, map[time.Time]int{}
		s.Oldest = l.Timestamp
	}
	s.Total++
	if l.Timestamp.Before(s.Oldest) {
		s.Oldest = l.Timestamp
	}
	if l.Timestamp.After(s.Newest) {
		s.Newest = l.Timestamp
	}
	s.ByType[l.FailureType]++
	s.ByLane[lane]++
	s.ByTenant[l.TenantID]++
	s.ByError[models.CutRunes(l.LastError, maxErrorRunes)]++
	s.ByHour[l.Timestamp.Truncate(time.Hour)]++
}

// maxErrorRunes keeps a line of statistics readable.
const maxErrorRunes = 100

// Count is one line of statistics.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// ranked returns the counts of a map, the largest first, at most that many;
// zero means all.
func ranked[K ~string](counts map[K]int, most int) []Count {
	var list []Count
	for name, n := range counts {
		list = append(list, Count{string(name), n})
	}
	slices.SortFunc(list, func(a, b Count) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Name, b.Name)) })
	if most > 0 && len(list) > most {
		return list[:most]
	}
	return list
}

// hours returns the counts by hour, the oldest first.
func (s *Stats) hours() []Count {
	var list []Count
	for _, hour := range slices.SortedFunc(maps.Keys(s.ByHour), time.Time.Compare) {
		list = append(list, Count{hour.Format(time.RFC3339), s.ByHour[hour]})
	}
	return list
}

// StatsView is what statistics come to.
type StatsView struct {
	Total    int       `json:"total"`
	Oldest   time.Time `json:"oldest,omitzero"`
	Newest   time.Time `json:"newest,omitzero"`
	ByType   []Count   `json:"by_type"`
	ByLane   []Count   `json:"by_lane,omitempty"` // none where all came by normal
	ByTenant []Count   `json:"by_tenant"`
	ByError  []Count   `json:"by_error"`
	ByHour   []Count   `json:"by_hour"`
}

// View returns the counts in order, at most that many tenants and errors; zero
// means all.
func (s *Stats) View(most int) StatsView {
	lanes := ranked(s.ByLane, 0)
	if s.ByLane[models.LaneNormal] == s.Total {
		lanes = nil
	}
	return StatsView{
		Total: s.Total, Oldest: writable(s.Oldest), Newest: writable(s.Newest),
		ByType: ranked(s.ByType, 0), ByLane: lanes, ByTenant: ranked(s.ByTenant, most), ByError: ranked(s.ByError, most), ByHour: s.hours(),
	}
}
