package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka/embedded"
	"messaging-worker/internal/logger"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

// DevOptions of the all-in-one stack.
type DevOptions struct {
	Port     int     // of the embedded broker
	DataDir  string  // kept between runs; empty keeps nothing
	Messages int     // sample requests to produce; 0 goes on until ctx ends
	Rate     float64 // sample requests a second
	Once     bool    // end when all requests have their outcome
	LogLevel string  // of the workers
	Colour   bool
	Out      io.Writer // the view
	Log      io.Writer // the workers' logs
}

// Dev runs an embedded broker, the three workers and sample traffic in one
// process until ctx ends or, with Once, until all traffic has its outcome.
// It prints what happens to each message, and a summary at the end.
//
// A *config.Error means that the log level is none.
func Dev(ctx context.Context, o DevOptions) error {
	log, err := logger.New(o.Log, "development", o.LogLevel)
	if err != nil {
		return setting("--log-level", err)
	}
	topics, names := map[models.Channel]ops.Topics{}, []string(nil)
	for _, b := range Builders() {
		t := devTopics(b.Channel)
		topics[b.Channel] = t
		names = append(names, t.Request, t.Status, t.DLQ)
	}
	broker, err := embedded.Start(embedded.Options{Port: o.Port, DataDir: o.DataDir, Topics: names})
	if err != nil {
		return fmt.Errorf("%w; is another stack running? choose another --port", err)
	}
	defer broker.Close()
	apps, err := devWorkers(ctx, broker.Addrs(), log)
	if err != nil {
		return err
	}
	traffic, err := ops.NewTraffic(ctx, broker.Addrs(), topics)
	if err != nil {
		return errors.Join(err, discard(apps))
	}
	defer traffic.Close()
	d := &dev{DevOptions: o, traffic: traffic, tally: ops.NewTally()}
	d.greet(broker.Addrs()[0], apps)
	return d.run(ctx, apps)
}

func devTopics(c models.Channel) ops.Topics {
	prefix := "messages." + string(c) + "."
	return ops.Topics{Request: prefix + "request", Status: prefix + "status", DLQ: prefix + "dlq"}
}

// devWorkers builds the three workers with settings that make a short show:
// waits of a second instead of minutes. The process environment is left out,
// so that the stack is the same on every machine.
func devWorkers(ctx context.Context, brokers []string, log zerolog.Logger) ([]*App, error) {
	settings := map[string]string{
		"KAFKA_BROKERS": strings.Join(brokers, ","), "APP_HOST": "127.0.0.1", "APP_PORT": "0",
		"BASE_BACKOFF_SECONDS": "0.5", "MAX_BACKOFF_SECONDS": "2", "PROVIDER_TIMEOUT_SECONDS": "2",
	}
	var apps []*App
	for _, b := range Builders() {
		upper, t := strings.ToUpper(string(b.Channel)), devTopics(b.Channel)
		settings["KAFKA_"+upper+"_REQUEST_TOPIC"] = t.Request
		settings["KAFKA_"+upper+"_STATUS_TOPIC"] = t.Status
		settings["KAFKA_"+upper+"_DLQ_TOPIC"] = t.DLQ
		settings[upper+"_CONSUMER_GROUP"] = string(b.Channel) + "-workers"
		c, err := config.Load(func(name string) (string, bool) { v, ok := settings[name]; return v, ok }, string(b.Channel))
		if err != nil {
			return nil, errors.Join(err, discard(apps))
		}
		a, err := New(ctx, c, b, string(b.Channel)+"-worker", log)
		if err != nil {
			return nil, errors.Join(err, discard(apps))
		}
		apps = append(apps, a)
	}
	return apps, nil
}

// discard closes workers that are not going to run.
func discard(apps []*App) error {
	var err error
	for _, a := range apps {
		err = errors.Join(err, a.close())
	}
	return err
}

// dev is one show.
type dev struct {
	DevOptions

	traffic *ops.Traffic
	tally   *ops.Tally

	mu sync.Mutex // Out
}

func (d *dev) greet(broker string, apps []*App) {
	d.print("Embedded broker on %s; any Kafka client can look in.\n", broker)
	for _, a := range apps {
		d.print("%-8s worker: http://%s/healthz/ready\n", a.config.Channel, a.Addr())
	}
	d.print("\n")
}

func (d *dev) print(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.Out, format, args...)
}

// run starts everything, waits for the end of the show, and stops the workers
// as a signal would.
func (d *dev) run(ctx context.Context, apps []*App) error {
	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var workers sync.WaitGroup
	results := make([]error, len(apps))
	for i, a := range apps {
		workers.Go(func() {
			if results[i] = a.Run(working); results[i] != nil {
				stop(results[i])
			}
		})
	}
	following, unfollow := context.WithCancel(working)
	var follower sync.WaitGroup
	ended := make(chan struct{}, 1)
	follower.Go(func() {
		if err := d.traffic.Follow(following, func(ev models.StatusEvent) { d.show(ev, ended) }); err != nil {
			stop(err)
		}
	})

	show, endShow := context.WithCancel(ctx)
	defer context.AfterFunc(working, endShow)()
	produced := d.produce(show, apps)
	for produced == nil && show.Err() == nil && (!d.Once || d.tally.Waiting() > 0) {
		select {
		case <-ended:
		case <-show.Done():
		}
	}
	endShow()
	stop(nil)
	workers.Wait()
	unfollow()
	follower.Wait()
	d.print("\n")
	return errors.Join(produced, errors.Join(results...), d.tally.Write(d.Out))
}

// produce writes the sample traffic, all scenarios on all channels in turn.
// Being stopped is no error.
func (d *dev) produce(ctx context.Context, apps []*App) error {
	for _, a := range apps {
		for !a.Ready() {
			if !pause(ctx, 50*time.Millisecond) {
				return nil
			}
		}
	}
	scenarios, channels := ops.Scenarios(), models.Channels()
	for n := 0; d.Messages == 0 || n < d.Messages; n++ {
		r, err := ops.Sample(channels[n%len(channels)], scenarios[n/len(channels)%len(scenarios)], n)
		if err != nil {
			return err
		}
		d.tally.Produced(r)
		if err := d.traffic.Produce(ctx, r); err != nil && ctx.Err() == nil {
			return err
		}
		if !pause(ctx, time.Duration(float64(time.Second)/d.Rate)) {
			return nil
		}
	}
	return nil
}

// pause waits for d and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// show prints one event and tells ended after an outcome.
func (d *dev) show(ev models.StatusEvent, ended chan<- struct{}) {
	scenario, age, ours := d.tally.Saw(ev)
	if !ours {
		return
	}
	detail := ev.Error
	if ev.EventType == models.EventSent && ev.ProviderResponse != nil {
		detail = fmt.Sprintf("%s %d", ev.ProviderResponse.Status, ev.ProviderResponse.Code)
	}
	if ev.ProviderResponse != nil && ev.ProviderResponse.Meta[models.MetaNextAttemptAt] != "" {
		detail += ", next at " + ev.ProviderResponse.Meta[models.MetaNextAttemptAt]
	}
	d.print("%s %-8s %.8s %-14s %s %d %7s  %s\n", ev.Timestamp.Format("15:04:05.000"), ev.Channel, ev.MessageID, scenario,
		d.paint(ev.EventType), ev.Attempt, age.Round(time.Millisecond), models.CutRunes(detail, 100))
	if ev.EventType == models.EventSent || ev.EventType == models.EventFailed {
		select {
		case ended <- struct{}{}:
		default:
		}
	}
}

// paint pads an event's name and colours it on a terminal.
func (d *dev) paint(e models.EventType) string {
	name := fmt.Sprintf("%-7s", e)
	if !d.Colour {
		return name
	}
	colours := map[models.EventType]string{
		models.EventSent: "32", models.EventFailed: "31", models.EventRetry: "33", models.EventAttempt: "36", models.EventQueued: "90",
	}
	return "\x1b[" + colours[e] + "m" + name + "\x1b[0m"
}
