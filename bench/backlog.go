package main

import (
	"context"
	"errors"
	"maps"
	"syscall"
)

// load is a backlog that workers finish.
type load struct {
	messages int
	env      map[string]string
	workers  int // zero means 1
	raw      bool
	every    int // each of how many messages has the hints
	hints    hint
	extra    int  // further events of such a message
	sized    bool // whether the size of the status topic is a figure
}

// compressed measures a load whose events are compressed by codec.
func compressed(l load, codec string) measurement {
	l.env, l.sized = maps.Clone(l.env), true
	l.env["KAFKA_COMPRESSION"] = codec
	return backlog(l)
}

// backlog measures how a load is finished.
func backlog(l load) measurement {
	return func(ctx context.Context, b *bench, t topics) (figures, error) {
		n := max(int(float64(l.messages)*b.scale), 100)
		if err := b.fill(ctx, t.requests, n, l.hintsOf); err != nil {
			return nil, err
		}
		ps, err := b.finish(ctx, l, t, l.events(n))
		if err != nil {
			return nil, err
		}
		times, err := b.sentTimes(ctx, t.status, l.events(n))
		if err != nil {
			return nil, err
		}
		s := between(times)
		f := figures{perSecond: s.rate(), micros: s.cost(ps...)}
		for _, p := range ps {
			f[memory] = max(f[memory], mib(p.peak()))
		}
		if l.sized {
			bytes, err := b.logSize(ctx, t.status)
			if err != nil {
				return nil, err
			}
			f[logSize] = float64(bytes) / float64(n)
		}
		return f, nil
	}
}

// finish has workers write that many events, and stops them.
func (b *bench) finish(ctx context.Context, l load, t topics, events int) ([]*process, error) {
	var ps []*process
	for range max(l.workers, 1) {
		p, err := b.startOne(t, l)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	err := b.waitRecords(ctx, t.status, events)
	for _, p := range ps {
		err = errors.Join(err, p.end(syscall.SIGTERM))
	}
	return ps, err
}

// events is how many events come of n messages.
func (l load) events(n int) int {
	if l.every == 0 {
		return 3 * n
	}
	return 3*n + (n+l.every-1)/l.every*l.extra
}

func (l load) hintsOf(i int) hint {
	if l.every > 0 && i%l.every == 0 {
		return l.hints
	}
	return nil
}

func (b *bench) startOne(t topics, l load) (*process, error) {
	if l.raw {
		return b.startRaw(t)
	}
	return b.startWorker(t, l.env)
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }
