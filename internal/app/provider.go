package app

import (
	"context"
	"fmt"
	"io"

	"messaging-worker/internal/config"
)

// OpenProvider builds the provider that a worker of these settings would call,
// for a tool that only wants to probe it. It makes no call. The probe is nil
// where the provider has none. The caller closes the provider.
func OpenProvider(c *config.Config) (io.Closer, func(context.Context) error, error) {
	for _, b := range Builders() {
		if string(b.Channel) == c.Channel {
			p, err := b.build(c)
			return p.provider, p.probe, err
		}
	}
	return nil, nil, fmt.Errorf("no channel %q", c.Channel)
}
