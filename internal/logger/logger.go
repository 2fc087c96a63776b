// Package logger makes the process's logger: for a person's console in
// development, one JSON object a line otherwise.
package logger

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// New returns a logger that writes to w from level on. env "development"
// writes console lines, coloured where w is a terminal and NO_COLOR is not
// set; anything else writes JSON. Times are UTC with nanoseconds.
func New(w io.Writer, env, level string) (zerolog.Logger, error) {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log level: %w", err)
	}
	if env == "development" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !Colour(w), TimeFormat: "15:04:05.000", TimeLocation: time.UTC}
	}
	return zerolog.New(w).Level(parsed).Hook(zerolog.HookFunc(stamp)), nil
}

// stamp adds the time without touching the library's global time format.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(time.RFC3339Nano))
}

// Colour reports whether w is a terminal, and NO_COLOR is not set.
func Colour(w io.Writer) bool {
	_, off := os.LookupEnv("NO_COLOR") //nolint:forbidigo // a convention of terminals, not a setting of ours
	f, ok := w.(*os.File)
	if !ok || off {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
