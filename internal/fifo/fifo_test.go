package fifo_test

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"messaging-worker/internal/fifo"
)

// The model is a slice, whatever is pushed, popped and extracted.
func TestQueueAgainstASlice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q fifo.Queue[int]
		var model []int
		for next := range rapid.IntRange(1, 50).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				for range rapid.SampledFrom([]int{1, 2, 3000}).Draw(t, "pushed") {
					q.Push(next)
					model = append(model, next)
					next++
				}
			case 1, 2:
				for range rapid.SampledFrom([]int{1, 2, 2900}).Draw(t, "popped") {
					item, ok := q.Pop()
					if ok != (len(model) > 0) || ok && item != model[0] {
						t.Fatalf("Pop() = %d, %v before %d others", item, ok, len(model))
					}
					model = model[min(1, len(model)):]
				}
			case 3:
				match := func(item int) bool { return item%3 == 0 }
				want := slices.Collect(func(yield func(int) bool) {
					for _, item := range model {
						if match(item) && !yield(item) {
							return
						}
					}
				})
				if got := q.Extract(match); !slices.Equal(got, want) {
					t.Fatalf("Extract() = %v, want %v", got, want)
				}
				model = slices.DeleteFunc(model, match)
			}
			head, ok := q.Peek()
			if q.Len() != len(model) || ok != (len(model) > 0) || ok && head != model[0] {
				t.Fatalf("Peek() = %d, %v of %d, want the first of %d", head, ok, q.Len(), len(model))
			}
		}
	})
}

func TestPushAndPopDoNotAllocate(t *testing.T) {
	var q fifo.Queue[int]
	q.Push(0)
	q.Pop()
	if n := testing.AllocsPerRun(100, func() {
		q.Push(1)
		q.Pop()
	}); n != 0 {
		t.Errorf("%v allocations for a push and a pop, want none", n)
	}
}

// A queue in order stays so whatever is put in and taken out.
func TestInsertKeepsTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q fifo.Queue[[2]int]
		var model [][2]int
		compare := func(a, b [2]int) int { return cmp.Or(a[0]-b[0], a[1]-b[1]) }
		for n, number := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 50).Draw(t, "numbers") {
			switch {
			case number == 0:
				q.Pop()
				model = model[min(1, len(model)):]
				continue
			case number == 9 && len(model) > 0:
				at := rapid.IntRange(0, len(model)-1).Draw(t, "removed")
				q.Remove(model[at], compare)
				q.Remove([2]int{number, n}, compare) // which is not there
				model = slices.Delete(model, at, at+1)
				continue
			}
			q.Insert([2]int{number, n}, compare)
			model = append(model, [2]int{number, n})
			slices.SortFunc(model, compare)
		}
		if got := slices.Collect(q.All()); !slices.Equal(got, model) {
			t.Errorf("All() = %v, want %v", got, model)
		}
	})
}
