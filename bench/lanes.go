package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/providers/fake"
)

// lanesLoad is a campaign that waits, and codes that come meanwhile.
type lanesLoad struct {
	bulk, codes int
	env         map[string]string
	hang        int  // each of how many calls takes hangFor; 0: none
	rebalance   bool // of bulk's group
	together    bool // all in the one topic
}

const hangFor = 10 * time.Second

// codeInterval is the time between two codes.
const codeInterval = 500 * time.Millisecond

// callLog is a fake Twilio's log: when which text came. It is safe for
// concurrent use.
type callLog struct {
	mu    sync.Mutex
	calls []call
}

type call struct {
	at   time.Time
	text string
}

// of returns the calls whose text begins so.
func (l *callLog) of(prefix string) []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []call
	for _, c := range l.calls {
		if strings.HasPrefix(c.text, prefix) {
			list = append(list, c)
		}
	}
	return list
}

// count returns how many calls there are.
func (l *callLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls)
}

// note notes a call, and returns which one it is, from 1.
func (l *callLog) note(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, call{time.Now(), text})
	return len(l.calls)
}

// fullestSecond returns the most calls that came in any second.
func (l *callLog) fullestSecond() int {
	calls, most, from := l.of(""), 0, 0
	for i := range calls {
		for calls[i].at.Sub(calls[from].at) >= time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// logTwilio plays a Twilio that keeps a log, and takes 200 ms a call, or each of
// so many calls hangFor. It returns the settings that lead there, and its end.
func logTwilio(ctx context.Context, log *callLog, hang int) (map[string]string, func(), error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("serve Twilio: %w", err)
	}
	f := fake.Twilio(twilioAccount, twilioAccount, twilioToken)
	f.Latency, f.Discard = 200*time.Millisecond, true
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // the fake refuses half of one
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body))
		if n := log.note(form.Get("Body")); hang > 0 && n%hang == 0 {
			select {
			case <-time.After(hangFor):
			case <-r.Context().Done():
				return
			}
		}
		f.ServeHTTP(w, r)
	})
	s := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }() // it ends by Close
	return map[string]string{
		"SMS_PROVIDER": "twilio", "TWILIO_BASE_URL": "http://" + l.Addr().String(),
		"TWILIO_ACCOUNT_SID": twilioAccount, "TWILIO_AUTH_TOKEN": twilioToken, "WORKER_CONCURRENCY": "20",
	}, func() { _ = s.Close() }, nil
}

// texted is a request whose text says which one it is.
func texted(topic, kind string, i int) *kgo.Record {
	id := fmt.Sprintf("%08x-0000-4000-a000-%08x%04x", i, kind[0], i&0xffff)
	return &kgo.Record{Topic: topic, Key: []byte(id), Value: fmt.Appendf(nil, `{"message_id":%q,"channel":"sms","tenant_id":%q,`+
		`"created_at":"2025-10-16T09:31:15Z","from":"+15551234567","to":["+15557654321"],"body":{"type":"text","content":"%s %d"}}`, id, kind, kind, i)}
}

func (b *bench) fillTexted(ctx context.Context, topic, kind string, n int) error {
	return b.produce(ctx, n, func(i int) *kgo.Record { return texted(topic, kind, i) })
}

// withLanes makes the topics of the further lanes, and returns the settings of
// both.
func (b *bench) withLanes(ctx context.Context, t topics) (map[string]string, error) {
	return map[string]string{
		"KAFKA_SMS_REQUEST_TOPIC_HIGH": t.high, "KAFKA_SMS_REQUEST_TOPIC_BULK": t.bulk,
	}, b.create(ctx, manyPartitions, t.high, t.bulk)
}

// measure has codes come behind a campaign.
func (l lanesLoad) measure(ctx context.Context, b *bench, t topics) (figures, error) {
	lanes, err := b.withLanes(ctx, t)
	if err != nil {
		return nil, err
	}
	if l.together {
		lanes, t.high, t.bulk = nil, t.requests, t.requests
	}
	if err := b.fillTexted(ctx, t.bulk, "campaign", max(int(float64(l.bulk)*b.scale), 20_000)); err != nil {
		return nil, err
	}
	log := &callLog{}
	settings, end, err := logTwilio(ctx, log, l.hang)
	if err != nil {
		return nil, err
	}
	defer end()
	maps.Copy(settings, lanes)
	maps.Copy(settings, l.env)
	p, err := b.startWorker(t, settings)
	if err != nil {
		return nil, err
	}
	asked, err := l.send(ctx, b, t, p, max(int(float64(l.codes)*b.scale), 20))
	_ = p.end(syscall.SIGKILL) // the campaign does not end today
	if err != nil {
		return nil, err
	}
	f := waits(log, asked)
	f[fullest] = float64(log.fullestSecond())
	return f, nil
}

// send writes the codes, and returns when each was asked for, by its text.
func (l lanesLoad) send(ctx context.Context, b *bench, t topics, p *process, n int) (map[string]time.Time, error) {
	if _, err := p.waitLog(ctx, "ready"); err != nil {
		return nil, err
	}
	if err := wait(ctx, 3*time.Second); err != nil { // the campaign is under way
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if l.rebalance {
		var moving sync.WaitGroup
		defer moving.Wait()
		defer cancel()
		moving.Go(func() { b.comeAndGo(ctx, t.group+".bulk", t.bulk) })
	}
	asked := map[string]time.Time{}
	for i := range n {
		r := texted(t.high, "code", i)
		r.Timestamp = time.Now()
		if err := b.client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return nil, fmt.Errorf("produce: %w", err)
		}
		asked[fmt.Sprint("code ", i)] = r.Timestamp
		if err := wait(ctx, time.Until(r.Timestamp.Add(codeInterval))); err != nil {
			return nil, err
		}
	}
	return asked, wait(ctx, 3*time.Second)
}

// comeAndGo joins a group and leaves it again until ctx ends.
func (b *bench) comeAndGo(ctx context.Context, group, topic string) {
	for ctx.Err() == nil {
		client, err := kgo.NewClient(
			kgo.SeedBrokers(b.brokers...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
			kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(),
		)
		if err != nil {
			return
		}
		_ = wait(ctx, 5*time.Second)
		client.Close()
		_ = wait(ctx, 5*time.Second)
	}
}

// waits are how long codes took to the provider's log, each by its first call.
func waits(log *callLog, asked map[string]time.Time) figures {
	took := map[string]time.Duration{}
	for _, c := range log.of("code ") {
		if _, known := took[c.text]; !known {
			took[c.text] = c.at.Sub(asked[c.text])
		}
	}
	f := figures{arrived: 100 * float64(len(took)) / float64(len(asked))}
	if len(took) == 0 {
		return f
	}
	list := slices.Sorted(maps.Values(took))
	at := func(q float64) float64 {
		return float64(list[int(q*float64(len(list)-1))].Microseconds()) / 1000
	}
	f[median], f[most], f[longest] = at(.5), at(.99), at(1)
	return f
}

// floodedLanes measures what is left to the lower lanes.
func floodedLanes(ctx context.Context, b *bench, t topics) (figures, error) {
	lanes, err := b.withLanes(ctx, t)
	if err != nil {
		return nil, err
	}
	for kind, topic := range map[string]string{"high": t.high, "normal": t.requests, "bulk": t.bulk} {
		if err := b.fillTexted(ctx, topic, kind, 20_000); err != nil {
			return nil, err
		}
	}
	log := &callLog{}
	settings, end, err := logTwilio(ctx, log, 0)
	if err != nil {
		return nil, err
	}
	defer end()
	maps.Copy(settings, lanes)
	p, err := b.startWorker(t, settings)
	if err != nil {
		return nil, err
	}
	_, err = p.waitLog(ctx, "ready")
	if err == nil {
		err = wait(ctx, 3*time.Second)
	}
	from := time.Now()
	if err == nil {
		err = wait(ctx, time.Minute)
	}
	_ = p.end(syscall.SIGKILL)
	since := func(kind string) float64 {
		return float64(len(slices.DeleteFunc(log.of(kind), func(c call) bool { return c.at.Before(from) })))
	}
	return figures{leastShare: 100 * min(since("normal"), since("bulk")) / since("")}, err
}
