package consumer

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A task that is started after its assignment was halted runs at once, however
// many wait before it.
func TestTaskOfAHaltedAssignment(t *testing.T) {
	t.Parallel()
	c, over, forever := &crew{limit: 1}, make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(forever) })
	a := &assignment{}
	c.start(task{run: func() { <-forever }})
	c.start(task{run: func() {}}) // waits
	ran := 0
	c.start(task{assignment: a, over: over, run: func() { ran++ }})
	close(over)
	c.release(a)
	c.start(task{assignment: a, over: over, run: func() { ran++ }})
	if ran != 2 {
		t.Errorf("%d of 2 tasks have run", ran)
	}
}

// Tasks begin in the order of their start, at most limit are at work, and all
// come to their end, however many wait aside.
func TestCrew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit, tasks = 5, 2000
		c := &crew{limit: limit}
		var mu sync.Mutex
		var order []int
		working, returned, most := 0, 0, 0
		work := func(n int) {
			mu.Lock()
			working += n
			most = max(most, working)
			mu.Unlock()
		}
		var wg sync.WaitGroup
		for i := range tasks {
			wg.Add(1)
			c.start(task{run: func() {
				defer wg.Done()
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				work(1)
				time.Sleep(rand.N(10 * time.Millisecond))
				work(-1)
				if i%3 == 0 {
					_ = c.aside(func() error {
						time.Sleep(time.Minute)
						return nil
					})
					mu.Lock()
					returned++
					mu.Unlock()
				}
			}})
		}
		wg.Wait()
		if len(order) != tasks {
			t.Errorf("%d tasks began, want all %d", len(order), tasks)
		}
		for place, i := range order { // what begins at one moment may note itself in any order
			if place < i-2*limit || place > i+2*limit {
				t.Fatalf("task %d began as number %d", i, place)
			}
		}
		if most > limit {
			t.Errorf("%d tasks were at work at once, want at most %d", most, limit)
		}
		if want := (tasks + 2) / 3; returned != want {
			t.Errorf("%d tasks came back from aside, want %d", returned, want)
		}
		synctest.Wait()
		if c.busy != 0 || c.first != len(c.waiting) || len(c.idle) > maxIdle {
			t.Errorf("left behind: %d busy, %d waiting, %d idle", c.busy, len(c.waiting)-c.first, len(c.idle))
		}
		c.dismiss()
	})
}

// A partition that goes away does not wait for room behind another's calls.
func TestCrewReleasesAPartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crew{limit: 1}
		hang := make(chan struct{})
		leaving, staying := &assignment{}, &assignment{}
		var ran []*assignment
		run := func(a *assignment) task { return task{assignment: a, run: func() { ran = append(ran, a) }} }
		c.start(task{assignment: staying, run: func() { <-hang }})
		for range 3 {
			c.start(run(leaving))
			c.start(run(staying))
		}
		c.release(leaving)
		if len(ran) != 3 || slices.Contains(ran, staying) {
			t.Errorf("%d tasks ran, want the three of the partition that leaves", len(ran))
		}
		close(hang)
		synctest.Wait()
		if len(ran) != 6 {
			t.Errorf("%d tasks ran in the end, want six", len(ran))
		}
		c.dismiss()
	})
}
