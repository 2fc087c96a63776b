package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/ops/scan"
)

// Sources are topics to read, each with its channel's settings. Close them.
type Sources struct {
	Client   *kgo.Client
	Settings []*config.Config
	Topics   []*scan.Topic // in the order of Settings
}

// OpenSources connects and opens the topic that topic names of each channel's
// settings. With anyOf it leaves out those that do not exist, but not all.
func OpenSources(ctx context.Context, settings []*config.Config, anyOf bool, topic func(*config.Config) string) (*Sources, error) {
	client, err := Connect(ctx, settings[0])
	if err != nil {
		return nil, err
	}
	s := &Sources{Client: client}
	var missing []error
	for _, c := range settings {
		t, err := scan.Open(ctx, client, topic(c))
		switch {
		case err == nil:
			s.Settings, s.Topics = append(s.Settings, c), append(s.Topics, t)
		case fault.Is(err, fault.NoTopic):
			missing = append(missing, err)
		default:
			s.Close()
			return nil, err
		}
	}
	if len(s.Topics) == 0 || len(missing) > 0 && !anyOf {
		s.Close()
		return nil, fmt.Errorf("nothing to read: %w", errors.Join(missing...))
	}
	return s, nil
}

// Close ends the connection.
func (s *Sources) Close() { s.Client.Close() }
