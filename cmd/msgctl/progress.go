package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// progress is a bar on standard error, or nothing where that is no terminal.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress begins a bar of total steps; -1 where their number is not known.
func newProgress(cmd *cobra.Command, title string, total int64) *progress {
	f, ok := cmd.ErrOrStderr().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	return &progress{drawBar(f, title, total)}
}

func drawBar(w io.Writer, title string, total int64) *progressbar.ProgressBar {
	_, plain := os.LookupEnv("NO_COLOR")
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(title), progressbar.OptionEnableColorCodes(!plain),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(total > 0),
	)
}

// at draws how many steps are done.
func (p *progress) at(n int64) {
	if p.bar != nil {
		_ = p.bar.Set64(n) // a bar that cannot be drawn is no reason to stop
	}
}

// clear takes the bar away for a line that is printed.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear() // as in at
	}
}

// next begins another bar behind this one.
func (p *progress) next(cmd *cobra.Command, title string, total int64) {
	p.end()
	*p = *newProgress(cmd, title, total)
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish() // as in at
		p.bar = nil
	}
}
