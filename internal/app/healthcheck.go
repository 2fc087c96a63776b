package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// healthcheckTimeout is how long a worker may take to say that it lives. It
// answers from memory, so that seconds mean that it is stuck.
const healthcheckTimeout = 3 * time.Second

// healthcheck asks the worker that runs on this host with the same settings
// whether its loops move. Nil means that they do.
func healthcheck(channel models.Channel, envFile string) error {
	origin, _, err := config.Environment(envFile)
	if err != nil {
		return err
	}
	address, err := config.LoadAddress(origin.Lookup, string(channel))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthcheckTimeout)
	defer cancel()
	return askLive(ctx, "http://"+address+"/healthz/live")
}

func askLive(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	req.Header.Set("User-Agent", UserAgent())
	// Not the default transport: a proxy of the environment has no business here.
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("healthcheck: no answer at %s: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // the status alone would do
	return fmt.Errorf("healthcheck: %s answers %s: %s", url, resp.Status, bytes.TrimSpace(said))
}
