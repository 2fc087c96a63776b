package consumer

import "sync"

// crew runs tasks in goroutines and keeps some of them for the next task.
// A goroutine grows its stack in its first task; one for each message would do
// so each time, which is a tenth of what a message costs.
type crew struct {
	mu   sync.Mutex
	idle []chan func()
}

// maxIdle bounds the goroutines that wait for a task.
const maxIdle = 512

// run runs the task in a goroutine of the crew. It does not wait.
func (c *crew) run(task func()) {
	c.mu.Lock()
	n := len(c.idle)
	if n == 0 {
		c.mu.Unlock()
		go c.work(task)
		return
	}
	next := c.idle[n-1]
	c.idle = c.idle[:n-1]
	c.mu.Unlock()
	next <- task
}

// work runs a task and those that come after it.
func (c *crew) work(task func()) {
	next := make(chan func(), 1)
	for {
		task()
		c.mu.Lock()
		if c.idle == nil || len(c.idle) >= maxIdle {
			c.mu.Unlock()
			return
		}
		c.idle = append(c.idle, next)
		c.mu.Unlock()
		var ok bool
		if task, ok = <-next; !ok {
			return
		}
	}
}

// newCrew makes a crew. Dismiss it.
func newCrew() *crew { return &crew{idle: make([]chan func(), 0, maxIdle)} }

// dismiss ends the goroutines that have no task; others end with theirs. Run
// goes on to work, without keeping anybody.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, next := range c.idle {
		close(next)
	}
	c.idle = nil
}
