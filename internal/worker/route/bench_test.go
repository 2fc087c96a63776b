package route_test

import (
	"context"
	"testing"
	"time"

	"messaging-worker/internal/worker/route"
)

func benchmarked() *route.Route {
	return route.New(route.Options{Concurrency: 50, Breaker: route.Breaker{
		Failures: 5, Refusals: 10, OpenFor: time.Second, Probe: func(context.Context) error { return nil },
	}})
}

// once takes a call through a route without limits.
func once(ctx context.Context, r *route.Route, a *route.Attempt, recipients []int) error {
	if err := r.Admit(ctx, a, 1, recipients); err != nil {
		return err
	}
	call, err := r.Start(ctx, a, recipients)
	if err == nil {
		r.End(call, route.Outcome{})
	}
	return err
}

func BenchmarkCall(b *testing.B) {
	r, a, recipients := benchmarked(), from("a"), []int{0}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if err := once(ctx, r, a, recipients); err != nil {
			b.Fatal(err)
		}
	}
}

// Most of a hundred wait for each other, as the messages of a busy worker do.
func BenchmarkCallInACrowd(b *testing.B) {
	r := benchmarked()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.ReportAllocs()
	b.SetParallelism(100)
	b.RunParallel(func(pb *testing.PB) {
		a, recipients := from("a"), []int{0}
		for pb.Next() {
			if err := once(ctx, r, a, recipients); err != nil {
				b.Error(err)
			}
		}
	})
}
