package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/twilio"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// twelve gives twelve messages, one after the other, to a worker whose
// provider answers all of them so and whose probes are refused, and returns
// what it came to.
func twelve(t *testing.T, kind string, c worker.Channel) (s route.BreakerState, letters int, reason string) {
	t.Helper()
	opened := make(chan struct{})
	r := route.New(route.Options{Concurrency: 4, Breaker: route.Breaker{
		Failures: 5, Refusals: 10, OpenFor: time.Hour, CallTimeout: time.Minute,
		Probe:    func(context.Context) error { return context.Canceled },
		OnChange: func(route.BreakerState, string) { close(opened) },
	}})
	k := &kafka{}
	e := worker.New(c, k, r, worker.Options{
		Channel: models.Channel(kind), MaxAttempts: 1, CallTimeout: time.Minute, RetryAfterMax: time.Millisecond,
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 12 {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = e.Handle(lifetime.New(ctx), &models.Record{Value: []byte(newRequest(kind, 1, text, ""))}, message.Progress{}, ours{})
		}()
		select {
		case <-ended:
		case <-opened: // this one waits
		}
	}
	s, _, reason = r.Breaker()
	k.mu.Lock()
	defer k.mu.Unlock()
	return s, len(k.letters), reason
}

// Every code of the tables, and one that is in none, in answer to twelve
// messages in a row: a recipient's or a message's own never pauses the channel,
// our account's does before the tenth message is lost.
func TestEveryCodeAgainstTheBreaker(t *testing.T) {
	t.Parallel()
	unlisted := api.Code{Code: 99999, Class: api.Permanent, Note: "in no table"}
	for name, codes := range map[string]api.Codes{"Twilio": append(twilio.Codes(), unlisted), "Meta": append(meta.Codes(), unlisted)} {
		for _, line := range codes {
			if line.Class != api.Permanent && line.Class != api.SetUp {
				continue // they are held or backed off by other rules
			}
			body := fmt.Sprintf(`{"code":%d,"message":"m","error":{"code":%d,"message":"m"}}`, line.Code, line.Code)
			kind, channel := "sms", smsVia(twilioAt(t, serve(t, saying(http.StatusBadRequest, body)), nil))
			if name == "Meta" {
				kind, channel = "whatsapp", metaChannel(t, saying(http.StatusBadRequest, body))
			}
			state, letters, reason := twelve(t, kind, channel)
			own := line.Class == api.Permanent && (line.Scope == "recipient" || line.Scope == "message")
			switch {
			case own && (state != route.Closed || letters != 12):
				t.Errorf("%s %d, %s: the channel is %v after %d dead letters", name, line.Code, line.Scope, state, letters)
			case !own && (state != route.Open || letters > 9):
				t.Errorf("%s %d, %s: the channel is %v after %d dead letters", name, line.Code, line.Scope, state, letters)
			case !own && line.Class == api.Permanent && !strings.Contains(reason, fmt.Sprint(name, " ", line.Code)):
				t.Errorf("%s %d: the reason is %q", name, line.Code, reason)
			}
		}
	}
}
