package smtp

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestLineWithoutCode has a server that says what is no reply, and then no
// more for as long.
func TestLineWithoutCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		limit  time.Duration
		silent time.Duration
		want   error
		took   time.Duration
	}{
		{"a reply behind it", time.Hour, time.Second, nil, time.Second},
		{"nothing behind it", time.Hour, time.Hour, errProtocol, strangeWait},
		{"the limit is nearer", time.Second, time.Hour, errProtocol, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				go func() { _, _ = far.Write([]byte("hello\r\n")) }()
				rest := time.AfterFunc(tt.silent, func() { _, _ = far.Write([]byte("220 relay\r\n")) })
				defer rest.Stop()
				c, start := newConn(near), time.Now()
				c.setDeadline(t.Context(), start.Add(tt.limit))
				r, err := c.readReply()
				if took := time.Since(start); !errors.Is(err, tt.want) || err == nil && r.Code != 220 || took != tt.took {
					t.Errorf("hear() = %+v, %v after %v, want %v after %v", r, err, took, tt.want, tt.took)
				}
				c.close()
			})
		})
	}
}

// TestCutOutlastsDeadlines cuts a connection; no deadline that is set later
// lets it go on.
func TestCutOutlastsDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c, start := newConn(near), time.Now()
		c.cut()
		c.applyDeadline(start.Add(time.Hour))
		if _, err := c.readReply(); !isTimeout(err) || time.Since(start) != 0 {
			t.Errorf("hear() = %v after %v, want a time-out at once", err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c = newConn(near)
		c.setDeadline(ctx, start.Add(time.Hour))
		if _, err := c.readReply(); !isTimeout(err) || time.Since(start) != 0 {
			t.Errorf("hear() = %v after %v, want a time-out at once", err, time.Since(start))
		}
		c.close()
	})
}
