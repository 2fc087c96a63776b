package main

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

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
