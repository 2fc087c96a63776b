package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a measured child.
type process struct {
	cmd  *exec.Cmd
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	samples []sample
	log     bytes.Buffer
}

// sample is what the kernel says of a process at a moment.
type sample struct {
	at  time.Time
	cpu time.Duration // user and system
	rss int           // bytes
}

// Write keeps what the process logs.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) logs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start runs a program with settings and samples it every 100 ms.
func start(path string, env map[string]string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(path, args...), stop: make(chan struct{})}
	p.cmd.Env = os.Environ()
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	p.done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			p.sample()
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
		}
	})
	return p, nil
}

// sample reads /proc: on other systems there are no figures of processes.
func (p *process) sample() {
	pid := p.cmd.Process.Pid
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime, rss = 11, 12, 21 // counted behind the name, see proc(5)
	if len(fields) <= rss {
		return
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(fields[i]) // the kernel writes numbers
		return n
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, sample{
		time.Now(), time.Duration(number(utime)+number(stime)) * tick, number(rss) * os.Getpagesize(),
	})
}

// end sends a signal, waits, and returns an error for any exit but 0.
func (p *process) end(s syscall.Signal) error {
	_ = p.cmd.Process.Signal(s) // it may have ended by itself, which Wait reports
	err := p.cmd.Wait()
	close(p.stop)
	p.done.Wait()
	if err != nil && s != syscall.SIGKILL {
		return fmt.Errorf("%w: %s", err, p.logs())
	}
	return nil
}

// cpu returns the processor time between two moments, interpolated.
func (p *process) cpu(from, to time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := func(t time.Time) time.Duration {
		for i := 1; i < len(p.samples); i++ {
			a, b := p.samples[i-1], p.samples[i]
			if !b.at.Before(t) {
				share := float64(t.Sub(a.at)) / float64(b.at.Sub(a.at))
				return a.cpu + time.Duration(share*float64(b.cpu-a.cpu))
			}
		}
		if len(p.samples) == 0 {
			return 0
		}
		return p.samples[len(p.samples)-1].cpu
	}
	return at(to) - at(from)
}

// peak returns the largest resident set, in bytes.
func (p *process) peak() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := 0
	for _, s := range p.samples {
		most = max(most, s.rss)
	}
	return most
}

// last returns the latest sample.
func (p *process) last() sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.samples[len(p.samples)-1]
}

// startWorker runs the measured SMS worker on the topics.
func (b *bench) startWorker(t topics, env map[string]string) (*process, error) {
	all := map[string]string{
		"APP_ENV": "production", "APP_PORT": "0", "APP_HOST": "127.0.0.1", "LOG_LEVEL": "info",
		"KAFKA_BROKERS": strings.Join(b.brokers, ","), "KAFKA_SMS_REQUEST_TOPIC": t.requests,
		"KAFKA_SMS_STATUS_TOPIC": t.status, "KAFKA_SMS_DLQ_TOPIC": t.dlq, "SMS_CONSUMER_GROUP": t.group,
	}
	maps.Copy(all, env)
	return start(b.measured.path("sms-worker"), all)
}

// startRaw runs the bare loop on the topics.
func (b *bench) startRaw(t topics) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return start(self, nil, rawCommand, strings.Join(b.brokers, ","), t.group, t.requests, t.status)
}

// waitLog waits until the worker has logged a line with that message and
// returns its fields.
func (p *process) waitLog(ctx context.Context, message string) (map[string]any, error) {
	for {
		for line := range strings.Lines(p.logs()) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == message {
				return fields, nil
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.New("the worker never logged: " + message)
		}
	}
}
