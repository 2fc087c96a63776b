package main

import (
	"context"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"

	"messaging-worker/internal/config"
	"messaging-worker/internal/ops"
)

// open connects and opens one topic of each channel. Where no channel is named
// those are left out whose topic does not exist.
func (s *session) open(ctx context.Context, channels []string, topic func(*config.Config) string) (*ops.Sources, error) {
	settings, err := s.allSettings(channels)
	if err != nil {
		return nil, err
	}
	return ops.OpenSources(ctx, settings, len(channels) == 0, topic)
}

// counted writes a number of things in English.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprint(n, " ", thing, "s")
}

// printLine writes one JSON value as a line of a stream.
func printLine(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}
