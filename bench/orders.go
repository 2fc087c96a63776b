package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// withOrders makes the control topic and plays a Twilio that keeps that log. It
// returns the settings that lead to both, and the end of Twilio.
func (b *bench) withOrders(ctx context.Context, t topics, log *callLog) (map[string]string, func(), error) {
	if err := b.create(ctx, 1, t.control); err != nil {
		return nil, nil, err
	}
	settings, end, err := logTwilio(ctx, log, 0)
	if err == nil {
		settings["KAFKA_CONTROL_TOPIC"] = t.control
	}
	return settings, end, err
}

// startWorkers starts so many, and waits until they are ready.
func (b *bench) startWorkers(ctx context.Context, t topics, settings map[string]string, n int) ([]*process, error) {
	var ps []*process
	for range n {
		p, err := b.startWorker(t, settings)
		if err != nil {
			return ps, err
		}
		ps = append(ps, p)
	}
	for _, p := range ps {
		if _, err := p.waitLog(ctx, "ready"); err != nil {
			return ps, err
		}
	}
	return ps, nil
}

func endAll(ps []*process) {
	for _, p := range ps {
		_ = p.end(syscall.SIGKILL)
	}
}

// msgctl runs a command of ours.
func (b *bench) msgctl(ctx context.Context, t topics, args ...string) error {
	cmd := exec.CommandContext(ctx, b.measured.path("msgctl"), args...)
	cmd.Env = append(cmd.Environ(), "KAFKA_BROKERS="+strings.Join(b.brokers, ","), "KAFKA_CONTROL_TOPIC="+t.control)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("msgctl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// pauses measures when the last call of a tenant starts that is paused, on
// workers that run and on one that starts meanwhile.
func pauses(ctx context.Context, b *bench, t topics) (figures, error) {
	log := &callLog{}
	settings, end, err := b.withOrders(ctx, t, log)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := b.fillTexted(ctx, t.requests, "campaign", max(int(200_000*b.scale), 20_000)); err != nil {
		return nil, err
	}
	ps, err := b.startWorkers(ctx, t, settings, 3)
	defer func() { endAll(ps) }()
	f := figures{lastCall: 0}
	for n := 0; n < max(int(100*b.scale), 3) && err == nil; n++ {
		var last time.Duration
		last, err = b.pauseOnce(ctx, t, settings, log)
		f[lastCall] = max(f[lastCall], float64(last.Milliseconds()))
	}
	return f, err
}

// pauseOnce is one trial: it returns how long after the command's return the
// last call came, and leaves the tenant as it was.
func (b *bench) pauseOnce(ctx context.Context, t topics, settings map[string]string, log *callLog) (time.Duration, error) {
	if err := log.await(ctx, log.count()+20); err != nil {
		return 0, err
	}
	scope := []string{"--channel", "sms", "--tenant", "campaign"}
	starting, failed := (*process)(nil), make(chan error, 1)
	go func() { // the fourth starts some time before or after the command
		err := wait(ctx, rand.N(600*time.Millisecond))
		if err == nil {
			starting, err = b.startWorker(t, settings)
		}
		failed <- err
	}()
	err := wait(ctx, rand.N(600*time.Millisecond))
	if err == nil {
		err = b.msgctl(ctx, t, append([]string{"pause", "--for", "5m", "--reason", "a trial"}, scope...)...)
	}
	returned := time.Now()
	if err = errors.Join(err, wait(ctx, 3*time.Second), <-failed); err != nil {
		return 0, err
	}
	calls := log.of("")
	last := calls[len(calls)-1].at.Sub(returned)
	endAll([]*process{starting})
	return max(last, 0), b.msgctl(ctx, t, append([]string{"resume"}, scope...)...)
}

// await waits until there are n calls.
func (l *callLog) await(ctx context.Context, n int) error {
	for l.count() < n {
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// cancels cancels each of many messages at a moment of its own.
func cancels(ctx context.Context, b *bench, t topics) (figures, error) {
	log := &callLog{}
	settings, end, err := b.withOrders(ctx, t, log)
	if err != nil {
		return nil, err
	}
	defer end()
	settings["WORKER_CONCURRENCY"] = "100"
	ps, err := b.startWorkers(ctx, t, settings, 3)
	defer func() { endAll(ps) }()
	if err != nil {
		return nil, err
	}
	n := max(int(10_000*b.scale), 500)
	if err := b.sendAndCancel(ctx, t, n); err != nil {
		return nil, err
	}
	return b.countCanceled(ctx, t, log, n)
}

// sendAndCancel writes n messages, and for each an order around the time at
// which it is called.
func (b *bench) sendAndCancel(ctx context.Context, t topics, n int) error {
	due := make([][]int, 0, n) // by step of a millisecond, whose cancel is due
	at := func(step, i int) {
		for len(due) <= step {
			due = append(due, nil)
		}
		due[step] = append(due[step], i)
	}
	for step := 0; step < len(due) || step < n; step++ {
		if step < n {
			b.client.Produce(ctx, texted(t.requests, "message", step), nil)
			at(step+rand.IntN(40), step)
		}
		for _, i := range due[step] {
			r, err := cancelOf(t, i)
			if err != nil {
				return err
			}
			b.client.Produce(ctx, r, nil)
		}
		if err := wait(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return b.client.Flush(ctx)
}

func cancelOf(t topics, i int) (*kgo.Record, error) {
	now := time.Now().UTC()
	o := models.Order{
		Action: models.ActionCancel, MessageID: string(texted("", "message", i).Key),
		At: now, Until: now.Add(models.MaxOrder), Reason: "a trial", By: "bench",
	}
	value, err := o.Encode()
	return &kgo.Record{Topic: t.control, Key: []byte(o.Key()), Value: value}, err
}

// countCanceled waits until all n have ended, and counts those that were both
// called and canceled, or neither.
func (b *bench) countCanceled(ctx context.Context, t topics, log *callLog, n int) (figures, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.brokers...), kgo.ConsumeTopics(t.status))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer client.Close()
	ended := map[string]models.EventType{}
	for len(ended) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s back: %w", t.status, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var event models.StatusEvent
			if json.Unmarshal(r.Value, &event) == nil && event.EventType.Final() {
				ended[string(r.Key)] = event.EventType
			}
		})
	}
	called := map[string]int{}
	for _, c := range log.of("message ") {
		called[c.text]++
	}
	f := figures{bothOrNone: 0}
	for i := range n {
		wasCanceled := ended[string(texted("", "message", i).Key)] == models.EventCanceled
		if wasCanceled {
			f[canceled]++
		}
		if calls := called[fmt.Sprint("message ", i)]; calls > 1 || wasCanceled == (calls == 1) {
			f[bothOrNone]++
		}
	}
	f[canceled] *= 100 / float64(n)
	return f, nil
}
