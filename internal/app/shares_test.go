package app

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// groups is a model of the lanes' consumer groups and of the workers in them.
// Each worker hears of its partitions as from a consumer: of fewer before they
// are given up, of more after they were assigned.
type groups struct {
	free    []int // partitions that nobody owns, by lane
	total   []int // partitions, by lane; 0: there is no such topic
	workers []*groupsWorker
}

type groupsWorker struct {
	shares *shares
	owned  []int
	heard  []bool
	part   float64
	set    bool
}

func newGroups(t *rapid.T) *groups {
	g := &groups{total: rapid.SliceOfN(rapid.IntRange(0, 12), 1, 3).Draw(t, "partitions by lane")}
	g.free = append(g.free, g.total...)
	for range rapid.IntRange(1, 4).Draw(t, "workers") {
		w := &groupsWorker{owned: make([]int, len(g.total)), heard: make([]bool, len(g.total))}
		w.shares = newShares(len(g.total), func(part float64) { w.part, w.set = part, true })
		g.workers = append(g.workers, w)
	}
	return g
}

// draw returns a worker and one of its lanes.
func (g *groups) draw(t *rapid.T) (*groupsWorker, int) {
	return rapid.SampledFrom(g.workers).Draw(t, "worker"), rapid.IntRange(0, len(g.total)-1).Draw(t, "lane")
}

func (g *groups) tell(w *groupsWorker, lane, owned int) {
	w.heard[lane] = true
	w.shares.told(lane, owned, g.total[lane])
}

// assign gives a worker free partitions, of which it hears at once or later.
func (g *groups) assign(t *rapid.T) {
	w, lane := g.draw(t)
	n := rapid.IntRange(0, g.free[lane]).Draw(t, "partitions")
	g.free[lane] -= n
	w.owned[lane] += n
	if rapid.Bool().Draw(t, "at once") {
		g.tell(w, lane, w.owned[lane])
	}
}

// revoke takes partitions from a worker, which has heard that it has fewer.
func (g *groups) revoke(t *rapid.T) {
	w, lane := g.draw(t)
	n := rapid.IntRange(0, w.owned[lane]).Draw(t, "partitions")
	w.owned[lane] -= n
	g.tell(w, lane, w.owned[lane])
	g.free[lane] += n
}

// repeat tells a worker what it owns.
func (g *groups) repeat(t *rapid.T) {
	w, lane := g.draw(t)
	g.tell(w, lane, w.owned[lane])
}

// check fails where the workers together take more than the whole, or where one
// takes some before it has heard of all lanes.
func (g *groups) check(t *rapid.T) {
	sum := 0.0
	for i, w := range g.workers {
		all := true
		for _, heard := range w.heard {
			all = all && heard
		}
		if w.set != all {
			t.Fatalf("worker %d has a part: %t, has heard of all lanes: %t", i, w.set, all)
		}
		sum += w.part
	}
	if sum > 1+1e-9 {
		t.Fatalf("the workers take %v of the rate together", sum)
	}
}

// Whatever is assigned and revoked: the workers never take more than the group's
// rate together, and each takes what it owns over all lanes.
func TestSharesOfAGroupAreNeverMoreThanOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := newGroups(t)
		t.Repeat(map[string]func(*rapid.T){"assign": g.assign, "revoke": g.revoke, "repeat": g.repeat, "": g.check})
		sum := 0
		for _, total := range g.total {
			sum += total
		}
		for i, w := range g.workers {
			owned := 0
			for lane := range g.total {
				g.tell(w, lane, w.owned[lane])
				owned += w.owned[lane]
			}
			if want := float64(owned) / float64(max(1, sum)); w.part != want {
				t.Errorf("worker %d takes %v with %s, want %v", i, w.part, fmt.Sprint(w.owned, " of ", g.total), want)
			}
		}
	})
}
