package validation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// TestHostileListsCostLittle has lists of half a million entries that are no
// recipients: what is done for them is bounded, and their length is reported. It
// counts allocations, so it runs alone.
func TestHostileListsCostLittle(t *testing.T) {
	const entries = 1 << 19
	const most = 2000 // several for each violation that is listed
	for _, entry := range []string{`1`, `""`, `"x"`, `null`, `[]`, `"a@b.c"`} {
		for _, field := range []string{"to", "bcc"} {
			value := base(models.Email, edit{field: repeat(entry, entries)})
			c, rec := channels()[models.Email], &models.Record{Value: value}
			var err error
			if n := testing.AllocsPerRun(1, func() { _, err = c.Decode(rec) }); n > most {
				t.Errorf("%s of %s: %v allocations, want at most %d", field, entry, n, most)
			}
			v, _ := errors.AsType[*common.Violations](err)
			want := fmt.Sprintf("%s: %d recipients, at most 100", field, entries)
			if v == nil || len(v.List) > 101 || !slices.Contains(v.List, want) || entry == `"a@b.c"` && v.Error() != "validation error: "+want {
				t.Errorf("%s of %s: %.200v, want %q among about a hundred", field, entry, v, want)
			}
		}
	}
}

// TestHostileMetaCostsLittle has entries that are all of the wrong type. It runs
// alone too.
func TestHostileMetaCostsLittle(t *testing.T) {
	const entries = 1 << 16
	var b strings.Builder
	for i := range entries {
		fmt.Fprintf(&b, `,"k%d":1`, i)
	}
	rec := &models.Record{Value: base(models.SMS, edit{"meta": "{" + b.String()[1:] + "}"})}
	c := channels()[models.SMS]
	var err error
	// A key is read, and quoted by the library; a path for each would be more.
	if n := testing.AllocsPerRun(1, func() { _, err = c.Decode(rec) }); n > 5*entries/2 {
		t.Errorf("%v allocations, want about two an entry", n)
	}
	if want := `meta["k0"]: wrong type`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Decode = %.200v, want %q in it", err, want)
	}
}
