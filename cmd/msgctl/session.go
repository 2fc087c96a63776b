package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

// session is what all commands share: the flags before them, and where
// settings come from.
type session struct {
	envFile string
	brokers string
	output  string
	warn    sync.Once // of what is strange in the file
}

// bind adds the shared flags to the root command.
func (s *session) bind(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&s.envFile, "env-file", "", "file with settings that the environment does not set (default: .env where there is one)")
	flags.StringVar(&s.brokers, "brokers", "", "comma-separated host:port, instead of KAFKA_BROKERS")
	flags.StringVarP(&s.output, "output", "o", "table", "table or json")
	complete(cmd, "output", []string{"table", "json"})
}

// check refuses shared flags that no command can obey.
func (s *session) check(*cobra.Command, []string) error {
	if s.output != "table" && s.output != "json" {
		return usageError{fmt.Errorf("--output is table or json, not %q", s.output)}
	}
	return nil
}

// origin returns where settings come from, flags before the environment before
// the file, and warnings about the file. The error lists mistakes in the file;
// the settings can be read beside it, unless they are nil.
func (s *session) origin() (config.Origin, []string, error) {
	origin, warnings, err := config.Environment(s.envFile)
	if origin == nil {
		return nil, nil, err
	}
	return func(name string) (string, string) {
		if name == "KAFKA_BROKERS" && s.brokers != "" {
			return s.brokers, "--brokers"
		}
		return origin(name)
	}, warnings, err
}

// lookup returns where settings come from.
func (s *session) lookup() (config.Lookup, error) {
	origin, warnings, err := s.origin()
	if err != nil {
		return nil, err
	}
	s.warn.Do(func() {
		for _, warning := range warnings {
			fmt.Fprintln(os.Stderr, "msgctl: warning:", warning)
		}
	})
	return origin.Lookup, nil
}

// settings returns those of one channel, as a tool reads them.
func (s *session) settings(channel string) (*config.Config, error) {
	return s.load(channel, config.LoadTool)
}

// load reads settings of one channel.
func (s *session) load(channel string, read func(config.Lookup, string) (*config.Config, error)) (*config.Config, error) {
	if err := knownChannel(channel); err != nil {
		return nil, err
	}
	lookup, err := s.lookup()
	if err != nil {
		return nil, err
	}
	return read(lookup, channel)
}

// allSettings returns those of the channels, or of every one where none is
// named.
func (s *session) allSettings(channels []string) ([]*config.Config, error) {
	var list []*config.Config
	for _, channel := range orAll(channels) {
		c, err := s.settings(channel)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// open connects and opens one topic of each channel. Where no channel is named
// those are left out whose topic does not exist.
func (s *session) open(ctx context.Context, channels []string, topic func(*config.Config) string) (*ops.Sources, error) {
	settings, err := s.allSettings(channels)
	if err != nil {
		return nil, err
	}
	return ops.OpenSources(ctx, settings, len(channels) == 0, topic)
}

// print writes v as JSON where --output says so, else what table writes in
// aligned columns.
func (s *session) print(cmd *cobra.Command, v any, table func(w io.Writer)) error {
	out := cmd.OutOrStdout()
	if s.output == "json" {
		if err := json.MarshalWrite(out, v, jsontext.WithIndent("  ")); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		_, err := fmt.Fprintln(out)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	table(w)
	return w.Flush()
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

// printer writes to an output that may break, for work that goes on without it.
// It keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

// Write implements io.Writer. After an error it writes no more.
func (p *printer) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.w.Write(b)
	if err != nil {
		p.err = fmt.Errorf("print: %w", err)
	}
	return n, p.err
}

// newProgress begins a bar of total steps on standard error; -1 where their
// number is not known. Where that is no terminal the bar is not seen. An error
// of drawing it is no reason to stop.
func newProgress(cmd *cobra.Command, title string, total int64) *progressbar.ProgressBar {
	f, ok := cmd.ErrOrStderr().(*os.File)
	_, plain := os.LookupEnv("NO_COLOR")
	return progressbar.NewOptions64(total,
		progressbar.OptionSetVisibility(ok && term.IsTerminal(int(f.Fd()))), progressbar.OptionSetWriter(cmd.ErrOrStderr()),
		progressbar.OptionSetDescription(title), progressbar.OptionEnableColorCodes(!plain),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(total > 0),
	)
}

// counted writes a number of things in English.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprint(n, " ", thing, "s")
}

// channelNames lists the channels as words for flags and arguments.
func channelNames() []string {
	var names []string
	for _, c := range models.Channels() {
		names = append(names, string(c))
	}
	return names
}

func knownChannel(channel string) error { return known("channel", channel, channelNames()) }

func knownLane(lane string) error { return known("lane", lane, laneNames()) }

// known refuses a word that is none of those that a thing may be called.
func known(thing, word string, words []string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return usageError{fmt.Errorf("%s %q: want one of %s", thing, word, strings.Join(words, ", "))}
}
