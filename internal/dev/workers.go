package dev

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"messaging-worker/internal/app"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// allSettings returns those of each channel's worker: the usual topics, and
// waits of a second instead of minutes. The process environment is left out, so
// that the stack is the same on every machine.
func allSettings() ([]*config.Config, error) {
	settings := map[string]string{
		"KAFKA_BROKERS": "127.0.0.1:1", "APP_HOST": "127.0.0.1", "APP_PORT": "0",
		"BASE_BACKOFF_SECONDS": "0.5", "MAX_BACKOFF_SECONDS": "2", "PROVIDER_TIMEOUT_SECONDS": "2",
	}
	lookup := func(name string) (string, bool) { v, ok := settings[name]; return v, ok }
	var list []*config.Config
	for _, channel := range models.Channels() {
		c, err := config.LoadTool(lookup, string(channel))
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// build builds a worker of each channel's settings.
func build(ctx context.Context, settings []*config.Config, log zerolog.Logger) ([]*app.App, error) {
	var workers []*app.App
	for _, c := range settings {
		w, err := app.New(ctx, c, log)
		if err != nil {
			return nil, errors.Join(err, discard(workers))
		}
		workers = append(workers, w)
	}
	return workers, nil
}

// discard closes workers that are not going to run.
func discard(workers []*app.App) error {
	var err error
	for _, w := range workers {
		err = errors.Join(err, w.Close())
	}
	return err
}
