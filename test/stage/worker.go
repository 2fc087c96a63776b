package stage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Worker is a running worker.
type Worker struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed at its end

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *Worker) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// Logs returns what the worker has written so far.
func (p *Worker) Logs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Work starts a worker; a test's end kills it if it still runs.
func (s *Stage) Work(extra map[string]string) *Worker {
	s.t.Helper()
	p := &Worker{t: s.t, done: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(Suite.Bin, string(s.Channel)+"-worker"))
	p.cmd.Env, p.cmd.Stderr, p.cmd.Stdout = s.Env(extra), p, p
	p.cmd.Dir = s.t.TempDir()
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // its code is in ProcessState
	}()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done // what it writes to goes away next
		if s.t.Failed() {
			logs := p.Logs()
			s.t.Logf("the worker's log:\n%s", logs[max(0, len(logs)-4000):])
		}
	})
	return p
}

// Eventually waits until ok returns "". It gives up when ok has said the same
// for as long as Patience, and in any case after five times that.
func Eventually(t *testing.T, ok func() string) {
	t.Helper()
	begun := time.Now()
	said, since := "", begun
	for {
		why := ok()
		if why == "" {
			return
		}
		if why != said {
			said, since = why, time.Now()
		}
		if time.Since(since) > Patience || time.Since(begun) > 5*Patience {
			t.Fatalf("waited %v: %s", time.Since(begun).Round(time.Second), why)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// URL returns the worker's HTTP address once it has logged it.
func (p *Worker) URL() string {
	p.t.Helper()
	var address string
	Eventually(p.t, func() string {
		for line := range strings.Lines(p.Logs()) {
			var l struct{ HTTP string }
			if json.Unmarshal([]byte(line), &l) == nil && l.HTTP != "" {
				address = l.HTTP
				return ""
			}
		}
		return "the worker has not logged its http address"
	})
	return "http://" + address
}

// Get asks the worker over HTTP and returns status and body.
func (p *Worker) Get(path string) (int, string) {
	resp, err := http.Get(p.URL() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// WaitReady waits until /healthz/ready answers with that status.
func (p *Worker) WaitReady(want int) (body string) {
	p.t.Helper()
	Eventually(p.t, func() string {
		code, b := p.Get("/healthz/ready")
		if body = b; code == want {
			return ""
		}
		return fmt.Sprintf("ready is %d %s, want %d", code, b, want)
	})
	return body
}

// Exit waits for the worker's end and returns its code.
func (p *Worker) Exit() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		p.t.Fatalf("the worker does not end within %v", Patience)
		return -1
	}
}

// Stop ends the worker as a roll-out does. It has to end well.
func (p *Worker) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	if code := p.Exit(); code != 0 {
		p.t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}

// WaitLog waits until the worker has logged a text.
func (p *Worker) WaitLog(text string) {
	p.t.Helper()
	Eventually(p.t, func() string {
		if !strings.Contains(p.Logs(), text) {
			return "the log does not say: " + text
		}
		return ""
	})
}

// Getenv returns a setting that the worker was started with.
func (p *Worker) Getenv(name string) string {
	for _, setting := range p.cmd.Env {
		if value, ok := strings.CutPrefix(setting, name+"="); ok {
			return value
		}
	}
	return ""
}

// Running reports whether the worker has not ended.
func (p *Worker) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the worker as a crash does and waits for its end.
func (p *Worker) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	p.Exit()
}

// Signal sends a signal to the process.
func (p *Worker) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}
