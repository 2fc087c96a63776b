package dev

import (
	"context"
	"fmt"
	"io"
	"time"

	"messaging-worker/internal/app"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// view prints what happens. One goroutine at a time uses it.
type view struct {
	tally  *tally
	colour bool
	out    io.Writer
}

func (v *view) greet(broker string, settings []*config.Config, workers []*app.App) {
	v.print("Embedded broker on %s; any Kafka client can look in.\n", broker)
	for i, w := range workers {
		v.print("%-8s worker: http://%s/healthz/ready\n", settings[i].Channel, w.Addr())
	}
	v.print("\n")
}

func (v *view) print(format string, args ...any) {
	fmt.Fprintf(v.out, format, args...)
}

// follow shows the status events until ctx ends, and signals after each
// outcome.
func (s *stack) follow(ctx context.Context, outcome chan<- struct{}) error {
	for rec, err := range s.traffic.Records(ctx) {
		if ctx.Err() != nil {
			return nil // this is how following ends
		}
		if err != nil {
			return err
		}
		ev, err := models.DecodeEvent(rec.Value, rec.Headers)
		if err != nil || !s.view.show(ev) {
			continue
		}
		select {
		case outcome <- struct{}{}:
		default:
		}
	}
	return nil
}

// show prints an event of this run's requests. It reports whether it is an
// outcome.
func (v *view) show(ev models.StatusEvent) (outcome bool) {
	request, age, ours := v.tally.saw(ev)
	if !ours {
		return false
	}
	detail := ev.Error
	if ev.EventType == models.EventSent && ev.ProviderResponse != nil {
		detail = fmt.Sprintf("%s %d", ev.ProviderResponse.Status, ev.ProviderResponse.Code)
	}
	if ev.ProviderResponse != nil && ev.ProviderResponse.Meta[models.MetaNextAttemptAt] != "" {
		detail += ", next at " + ev.ProviderResponse.Meta[models.MetaNextAttemptAt]
	}
	v.print("%s %-8s %-6s %.8s %-14s %s %d %7s  %s\n",
		ev.Timestamp.Format("15:04:05.000"), ev.Channel, request.lane, ev.MessageID, request.scenario,
		v.paint(ev.EventType), ev.Attempt, age.Round(time.Millisecond), models.CutRunes(detail, 100))
	return ev.EventType.Final()
}

// paint pads an event's name and colours it on a terminal.
func (v *view) paint(e models.EventType) string {
	name := fmt.Sprintf("%-7s", e)
	if !v.colour {
		return name
	}
	colours := map[models.EventType]string{
		models.EventSent: "32", models.EventFailed: "31", models.EventCanceled: "35", models.EventRetry: "33", models.EventAttempt: "36", models.EventQueued: "90",
	}
	return "\x1b[" + colours[e] + "m" + name + "\x1b[0m"
}
