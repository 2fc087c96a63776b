package worker_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// The messages of an engine go by its lane: what came later by a more urgent one
// is called first.
func TestLanesOfEnginesShareARoute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var called []models.Lane
		r := route.New(route.Options{Concurrency: 1})
		engine := func(lane models.Lane) *worker.Engine {
			calls := script{recipients: []string{"+15550001"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
				mu.Lock()
				defer mu.Unlock()
				called = append(called, lane)
				return accepted()
			}}
			return worker.New(calls, &ledger{}, r, worker.Options{
				Channel: models.SMS, Lane: lane, MaxAttempts: 3, CallTimeout: time.Second, Backoff: worker.Backoff{Base: time.Second, Max: time.Second},
			})
		}
		release := occupy(t, r, 1)
		var waits []func()
		for _, lane := range []models.Lane{models.LaneBulk, models.LaneNormal, models.LaneHigh} {
			waits = append(waits, handling(t, engine(lane), 1))
			synctest.Wait()
		}
		release()
		for _, wait := range waits {
			wait()
		}
		want := []models.Lane{models.LaneHigh, models.LaneNormal, models.LaneBulk}
		if !slices.Equal(called, want) {
			t.Errorf("called by lane: %v, want %v", called, want)
		}
	})
}
