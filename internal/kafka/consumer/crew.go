package consumer

import "sync"

// crew runs the handlers of admitted records, in the order of admission, so
// many at a time that there is always one that can go on. Ten thousand at a
// time would go on no sooner, but their stacks would be walked by every
// garbage collection: a third of what a message costs.
//
// Its goroutines take one record after another: a goroutine grows its stack in
// its first, and one for each record would do so each time.
type crew struct {
	limit int // handlers at work; those that wait aside do not count

	mu      sync.Mutex
	busy    int
	waiting []task
	first   int // index of the first in waiting
	idle    []chan task
	gone    bool
}

// task is the handling of one record.
type task struct {
	assignment *assignment
	over       <-chan struct{} // closed before the assignment's tasks are released; nil for never
	run        func()
}

// ended reports whether nobody would release the task any more.
func (t *task) ended() bool {
	select {
	case <-t.over:
		return true
	default:
		return false
	}
}

// maxIdle bounds the goroutines that wait for a task.
const maxIdle = 512

// start runs the task as soon as there is room. It does not wait.
func (c *crew) start(t task) {
	c.mu.Lock()
	if t.ended() {
		// Admitted at the last moment, after release had looked for those who
		// wait: in line it would hold up the hand-over until its turn came.
		c.mu.Unlock()
		t.run()
		return
	}
	if c.busy >= c.limit && !c.gone {
		c.waiting = append(c.waiting, t)
		c.mu.Unlock()
		return
	}
	c.busy++
	c.mu.Unlock()
	c.hand(t)
}

// hand gives the task to a goroutine.
func (c *crew) hand(t task) {
	c.mu.Lock()
	n := len(c.idle)
	if n == 0 {
		c.mu.Unlock()
		go c.work(t)
		return
	}
	next := c.idle[n-1]
	c.idle = c.idle[:n-1]
	c.mu.Unlock()
	next <- t
}

// work runs a task and those that come after it.
func (c *crew) work(t task) {
	next := make(chan task, 1)
	for ok := true; ok; {
		t.run()
		if t, ok = c.done(next); ok && t.run == nil {
			t, ok = <-next
		}
	}
}

// done ends a task. It returns the next one; or none, and next will bring one;
// or false when the goroutine is not needed any more.
func (c *crew) done(next chan task) (task, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.pop(); ok {
		return t, true
	}
	c.busy--
	if c.gone || len(c.idle) >= maxIdle {
		return task{}, false
	}
	c.idle = append(c.idle, next)
	return task{}, true
}

// aside runs a long wait of a task, whose place another takes meanwhile.
func (c *crew) aside(wait func() error) error {
	c.mu.Lock()
	t, ok := c.pop()
	if !ok {
		c.busy--
	}
	c.mu.Unlock()
	if ok {
		c.hand(t)
	}
	err := wait()
	c.mu.Lock()
	c.busy++ // perhaps above the limit: it has waited long enough
	c.mu.Unlock()
	return err
}

// pop takes the first waiting task where there is room for it besides the
// caller's own. It is called with c.mu held.
func (c *crew) pop() (task, bool) {
	if c.first == len(c.waiting) || c.busy > c.limit && !c.gone {
		return task{}, false
	}
	t := c.waiting[c.first]
	c.waiting[c.first] = task{}
	if c.first++; c.first == len(c.waiting) {
		c.waiting, c.first = nil, 0
	} else if c.first > 1024 && c.first > len(c.waiting)/2 {
		c.waiting = append(c.waiting[:0], c.waiting[c.first:]...)
		c.first = 0
	}
	return t, true
}

// release runs the tasks of an assignment that still wait. Its handlers have
// been told to stop, so each returns at once.
func (c *crew) release(a *assignment) {
	c.mu.Lock()
	var own, others []task
	for _, t := range c.waiting[c.first:] {
		if t.assignment == a {
			own = append(own, t)
		} else {
			others = append(others, t)
		}
	}
	c.waiting, c.first = others, 0
	c.mu.Unlock()
	for _, t := range own {
		t.run()
	}
}

// dismiss ends the goroutines that have no task; the others end with theirs.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for _, next := range c.idle {
		close(next)
	}
	c.idle = nil
}
