// Package chaos_test breaks what can break under the built workers and counts
// what was lost and what was done twice.
//
// Most tests have the workers read three lanes at once, each of which has to
// fare as a single one does: what allLanes and putTwins say of them holds there.
//
// The tests run in a short form with all others. CHAOS_LONG=true makes them
// long, and CHAOS_SEED repeats a run's choices; what the machine makes of them
// differs all the same.
package chaos_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/test/stage"
)

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // the proxy of the network test talks much
	os.Exit(stage.Main(m, "chaos"))
}

// long reports whether the tests take the time that a proof takes.
func long() bool { return os.Getenv("CHAOS_LONG") == "true" }

// pick returns the number for this form of the tests.
func pick(short, lengthy int) int {
	if long() {
		return lengthy
	}
	return short
}

// timeout bounds one test.
func timeout() time.Duration { return time.Duration(pick(15, 45)) * time.Minute }

// chance returns the test's source of choices and logs how to repeat them.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("CHAOS_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("CHAOS_SEED: %v", err)
		}
	}
	t.Logf("CHAOS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
