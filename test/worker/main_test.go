package worker_test

import (
	"os"
	"runtime"
	"testing"
)

// Bubbles and the race detector do not go together on several processors: the
// runtime lends one detector context to all timers of a bubble, and two
// processors that use it at once end the process (golang/go#78156, "CHECK
// failed: tsan_rtl.cpp"). What races is found on one processor too: the
// detector goes by what happened before what, not by what happened at once.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}
