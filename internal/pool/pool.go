// Package pool runs many tasks that mostly wait in few goroutines that work.
package pool

import (
	"sync"

	"messaging-worker/internal/fifo"
)

// Pool runs tasks in the order of their start, at most so many at a time. Ten
// thousand at a time would come to their ends no sooner, but their stacks would
// be walked by every garbage collection: a third of what a message costs.
//
// Its goroutines take one task after another: a goroutine grows its stack in
// its first task, and one for each task would do so each time. It is safe for
// concurrent use.
type Pool struct {
	limit int // tasks that work; those in Yield do not count

	mu      sync.Mutex
	working int
	waiting fifo.Queue[task]
	idle    []chan task
	closed  bool
}

// Task is something to run. One that holds all it needs costs no closure.
type Task interface{ Run() }

// task is a Task of an owner. A zero task is none.
type task struct {
	Task

	owner *Owner
}

// maxIdle bounds the goroutines that wait for a task.
const maxIdle = 512

// New returns a pool of that many working tasks.
func New(limit int) *Pool { return &Pool{limit: limit} }

// Owner is on whose behalf tasks run.
type Owner struct {
	pool     *Pool
	released bool // under pool.mu
}

// Owner returns a new owner of tasks.
func (p *Pool) Owner() *Owner { return &Owner{pool: p} }

// Start runs the task as soon as there is room, and does not wait for that.
// After Release it runs the task itself and returns when that does: in line it
// would wait for room behind the tasks of others.
func (o *Owner) Start(t Task) {
	p := o.pool
	p.mu.Lock()
	if o.released {
		p.mu.Unlock()
		t.Run()
		return
	}
	defer p.mu.Unlock()
	if p.working >= p.limit && !p.closed {
		p.waiting.Push(task{t, o})
		return
	}
	p.working++
	p.hand(task{t, o})
}

// Release runs the owner's tasks that wait for room, one after another, and
// returns when they have: they were told to end, so each returns at once.
func (o *Owner) Release() {
	o.pool.mu.Lock()
	o.released = true
	own := o.pool.waiting.Extract(func(t task) bool { return t.owner == o })
	o.pool.mu.Unlock()
	for _, t := range own {
		t.Run()
	}
}

// hand gives the task to a goroutine. It is called with p.mu held.
func (p *Pool) hand(t task) {
	n := len(p.idle)
	if n == 0 {
		go p.work(t)
		return
	}
	p.idle[n-1] <- t // it has room for one
	p.idle = p.idle[:n-1]
}

// work runs a task and those that come after it.
func (p *Pool) work(t task) {
	next := make(chan task, 1)
	for ok := true; ok; {
		t.Run()
		if t, ok = p.done(next); ok && t.Task == nil {
			t, ok = <-next
		}
	}
}

// done ends a task. It returns the next one; or a zero task, and next will
// bring one; or false where the goroutine is not needed any more.
func (p *Pool) done(next chan task) (task, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.pop(); ok {
		return t, true
	}
	p.working--
	if p.closed || len(p.idle) >= maxIdle {
		return task{}, false
	}
	p.idle = append(p.idle, next)
	return task{}, true
}

// Yield runs a long wait of a task, while another task works in its place. It
// returns what wait does.
func (p *Pool) Yield(wait func() error) error {
	p.mu.Lock()
	if t, ok := p.pop(); ok {
		p.hand(t)
	} else {
		p.working--
	}
	p.mu.Unlock()
	err := wait()
	p.mu.Lock()
	p.working++ // perhaps above the limit: it has waited long enough
	p.mu.Unlock()
	return err
}

// pop takes the first waiting task where there is room for it in the place of
// the caller's own. It is called with p.mu held.
func (p *Pool) pop() (task, bool) {
	if p.working > p.limit && !p.closed {
		return task{}, false
	}
	return p.waiting.Pop()
}

// Close ends the goroutines that have no task; the others end with theirs.
// Tasks that wait or are started after it run without a limit.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, next := range p.idle {
		close(next)
	}
	p.idle = nil
}
