package pool_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/pool"
)

// task is a function as a task.
type task func()

func (t task) Run() { t() }

// Tasks begin in the order of their start, at most limit work at once, and all
// come to their end, however many yield. Then there is room for as many again,
// and Close leaves no goroutine: the bubble would not end with one.
func TestPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit, tasks = 5, 2000
		p := pool.New(limit)
		owner := p.Owner()
		var mu sync.Mutex
		var order []int
		working, returned, most := 0, 0, 0
		work := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			working += n
			most = max(most, working)
		}
		var wg sync.WaitGroup
		for i := range tasks {
			wg.Add(1)
			owner.Start(task(func() {
				defer wg.Done()
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				work(1)
				time.Sleep(rand.N(10 * time.Millisecond))
				work(-1)
				if i%3 == 0 {
					_ = p.Yield(func() error {
						time.Sleep(time.Minute)
						return nil
					})
					mu.Lock()
					returned++
					mu.Unlock()
				}
			}))
		}
		wg.Wait()
		if len(order) != tasks {
			t.Errorf("%d tasks began, want all %d", len(order), tasks)
		}
		for position, i := range order { // what begins at one moment may note itself in any order
			if position < i-2*limit || position > i+2*limit {
				t.Fatalf("task %d began as number %d", i, position)
			}
		}
		if most > limit {
			t.Errorf("%d tasks worked at once, want at most %d", most, limit)
		}
		if want := (tasks + 2) / 3; returned != want {
			t.Errorf("%d tasks came back from Yield, want %d", returned, want)
		}
		synctest.Wait()
		if n := begunAtOnce(p, 2*limit); n != limit {
			t.Errorf("in the end there is room for %d tasks, want %d", n, limit)
		}
		p.Close()
	})
}

// begunAtOnce returns how many of n tasks begin without waiting for others.
func begunAtOnce(p *pool.Pool, n int) int {
	var begun sync.WaitGroup
	count := make(chan struct{}, n)
	hang := make(chan struct{})
	for range n {
		begun.Add(1)
		p.Owner().Start(task(func() {
			defer begun.Done()
			count <- struct{}{}
			<-hang
		}))
	}
	synctest.Wait()
	atOnce := len(count)
	close(hang)
	begun.Wait()
	return atOnce
}

// An owner that goes away does not wait for room behind another's tasks: not
// with those that wait, and not with those that come later.
func TestRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pool.New(1)
		hang := make(chan struct{})
		leaving, staying := p.Owner(), p.Owner()
		ran := map[*pool.Owner]int{}
		start := func(o *pool.Owner) { o.Start(task(func() { ran[o]++ })) }
		staying.Start(task(func() { <-hang }))
		for range 3 {
			start(leaving)
			start(staying)
		}
		leaving.Release()
		if ran[leaving] != 3 || ran[staying] != 0 {
			t.Errorf("%d and %d tasks ran, want the three of the owner that leaves", ran[leaving], ran[staying])
		}
		start(leaving)
		if ran[leaving] != 4 {
			t.Error("a task that is started after Release waits")
		}
		close(hang)
		synctest.Wait()
		if ran[staying] != 3 {
			t.Errorf("%d tasks of the other ran in the end, want three", ran[staying])
		}
		p.Close()
	})
}

// Tasks that wait when the pool is closed run, and the limit holds nobody up.
func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(*testing.T) {
		p := pool.New(1)
		hang := make(chan struct{})
		ran := make(chan struct{}, 2)
		p.Owner().Start(task(func() { <-hang }))
		p.Owner().Start(task(func() { ran <- struct{}{} }))
		p.Close()
		p.Owner().Start(task(func() { ran <- struct{}{} }))
		<-ran
		close(hang)
		<-ran
	})
}
