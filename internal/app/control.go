package app

import (
	"context"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"messaging-worker/internal/config"
	"messaging-worker/internal/health"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/follow"
	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
	"messaging-worker/internal/util"
)

// control has the worker obey what operators order in the control topic: the
// engines ask its board, the routes are told their rates. A nil control is that of
// a worker without such a topic.
type control struct {
	board    *orders.Board
	follower *follow.Follower
	log      zerolog.Logger
	errors   atomic.Uint64 // records that cannot be read

	config   *config.Config
	accounts []*account
	rates    sync.Mutex // held while they are set, so that the latest stand
}

// controlCheck is the readiness check of orders.
const controlCheck = "control"

// newControl makes the control of the settings' control topic, nil where there is
// none.
func (a *App) newControl(options kafka.Options, accounts []*account) (*control, error) {
	if a.config.Kafka.ControlTopic == "" {
		return nil, nil //nolint:nilnil // off, and nothing is wrong
	}
	c := &control{log: a.log, config: a.config, accounts: accounts}
	c.board = orders.New(models.Channel(a.config.Channel), c.changed)
	var err error
	c.follower, err = follow.New(follow.Options{Kafka: options, Topic: a.config.Kafka.ControlTopic, Log: a.log}, c)
	if err != nil {
		return nil, err
	}
	a.health.Set(controlCheck, c.follower.Err())
	a.health.ShowOrders(controlCheck, c.inForce)
	return c, nil
}

// orders returns what engines ask; nil of a nil control.
func (c *control) orders() *orders.Board {
	if c == nil {
		return nil
	}
	return c.board
}

// run follows the topic until ctx ends.
func (c *control) run(ctx context.Context) {
	if c != nil {
		c.follower.Run(ctx)
	}
}

// await waits until the topic is read to its end: what is paused must not be sent
// because orders were not there yet. No source runs meanwhile, and none is stuck.
// Its error is the cause of ctx's end.
func (c *control) await(ctx context.Context, sources []*source) error {
	if c == nil {
		return nil
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-c.follower.Ready():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		}
		for _, s := range sources {
			s.observer.Polling()
			s.observer.Committing()
		}
	}
}

// check returns why the worker may not start for want of orders, and keeps the
// readiness check so. Once they are read they hold, whatever becomes of the topic.
func (c *control) check(h *health.Health) error {
	if c == nil {
		return nil
	}
	var err error
	select {
	case <-c.follower.Ready():
	default:
		err = c.follower.Err()
	}
	h.Set(controlCheck, err)
	return err
}

// shownMessages bounds the orders about single messages that the check shows.
const shownMessages = 100

// shownOrder is an order as the check shows it.
type shownOrder struct {
	Action models.Action `json:"action"`
	Scope  string        `json:"scope"`
	Until  time.Time     `json:"until"`
	Reason string        `json:"reason"`
}

// inForce returns the orders in force, nil before they are known.
func (c *control) inForce() any {
	select {
	case <-c.follower.Ready():
	default:
		return nil
	}
	list := []shownOrder{}
	for _, o := range c.board.InForce(shownMessages) {
		list = append(list, shownOrder{o.Action, o.Scope(), o.Until.UTC(), o.Reason})
	}
	return list
}

// collect exports how the orders stand.
func (c *control) collect(to chan<- prometheus.Metric) {
	if c == nil {
		return
	}
	to <- gauge("paused", "Orders in force that pause anything of the channel.", float64(c.board.Paused()))
	to <- gauge("control_age_seconds", "Time since Kafka last said that the control topic has nothing newer than what is applied.", c.follower.Age().Seconds())
	to <- counter("control_errors_total", "Records of the control topic that could not be read, and were skipped.", c.errors.Load())
}

// Begin implements follow.Table.
func (c *control) Begin() { c.board.Reread() }

// loggedErrors bounds the lines about records that cannot be read: a topic may be
// full of them.
const loggedErrors = 100

// quoted is what an error cites of a record, which may hold anything.
var quoted = regexp.MustCompile(`"[^"]*"`)

// Apply implements follow.Table. What cannot be read is skipped.
func (c *control) Apply(rec *models.Record) {
	err := c.board.Apply(rec.Key, rec.Value, rec.Headers...)
	if err == nil {
		return
	}
	level := zerolog.WarnLevel
	if c.errors.Add(1) > loggedErrors {
		level = zerolog.DebugLevel
	}
	c.log.WithLevel(level).Str("record", rec.Position()).Str("error", quoted.ReplaceAllString(err.Error(), "…")).
		Msg("this record of the control topic cannot be read: it is skipped")
}

// Complete implements follow.Table.
func (c *control) Complete() {
	c.board.Complete()
	c.log.Info().Str("topic", c.config.Kafka.ControlTopic).Int("paused", c.board.Paused()).Msg("orders read")
}

// changed logs what has become of orders, and sets the rates.
func (c *control) changed(changes []orders.Change) {
	single := map[orders.Kind]int{}
	for i := range changes {
		if o := changes[i].Order; o.MessageID != "" && len(changes) > 1 { // those that were there at the start
			single[changes[i].Kind]++
			continue
		}
		c.logChange(&changes[i])
	}
	for kind, n := range single {
		c.log.Info().Str("order", string(kind)).Int("messages", n).Msg("orders about single messages")
	}
	c.setRates()
}

func (c *control) logChange(change *orders.Change) {
	o := *change.Order
	line := c.log.Info().Str("order", string(change.Kind)).Str("action", string(o.Action))
	for key := range o.Meta {
		line.Str("meta", withoutAddresses(key)) // its value may be anything
	}
	o.Meta = nil
	line.Str("scope", o.Scope()).Time("until", o.Until)
	if o.PerSecond > 0 {
		line.Float64("per_second", o.PerSecond)
	}
	if change.By != "" {
		line.Str("by", change.By)
	}
	if change.Reason != "" {
		line.Str("reason", withoutAddresses(change.Reason))
	}
	line.Msg("order")
}

// addresses are mailboxes and numbers in a text that somebody wrote by hand.
var addresses = regexp.MustCompile(`\S+@\S+|\+\d[\d ()/-]{5,}\d`)

func withoutAddresses(text string) string { return addresses.ReplaceAllStringFunc(text, util.Mask) }

// setRates tells the routes which rate of the whole group is in force: that of an
// order, or of the settings.
func (c *control) setRates() {
	c.rates.Lock()
	defer c.rates.Unlock()
	rate, ordered := c.board.GroupRate(c.config.Provider.Name)
	if !ordered {
		rate = c.config.Provider.GroupRatePerSec
	}
	for _, at := range c.accounts {
		at.route.SetGroupRate(rate)
	}
}
