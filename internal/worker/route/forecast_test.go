package route

import (
	"testing"
	"testing/synctest"
	"time"
)

// Calls that hang after many that did not are not expected for long.
func TestForecastForgetsCallsThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f forecast
		for range 200 {
			f.ended(f.expect(time.Now()), 50*time.Millisecond)
		}
		if f.typical < 40*time.Millisecond || f.typical > 60*time.Millisecond {
			t.Errorf("typical %v, want about 50ms", f.typical)
		}
		for range 10 {
			f.expect(time.Now())
		}
		for _, want := range []int{0, 10, 0} { // now, when they should end, and well after
			if got := f.soon(time.Now()); got != want {
				t.Errorf("%d are expected soon, want %d", got, want)
			}
			time.Sleep(45 * time.Millisecond)
		}
	})
}
