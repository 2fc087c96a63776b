package cluster

import "strings"

// Verdict is what a check came to.
type Verdict string

// The verdicts. Only Fail is a no.
const (
	OK      Verdict = "ok"
	Warn    Verdict = "warn" // it works, and could be better
	Fail    Verdict = "FAIL"
	Skipped Verdict = "skipped"
)

// Finding is the answer of one check.
type Finding struct {
	Channel string  `json:"channel,omitzero"` // empty: about all of them
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Seen    string  `json:"seen"`
	Advice  string  `json:"advice,omitzero"` // what to do, where something is to be done
}

// worst gathers what a check sees of several things into one finding, by the
// worst verdict, with all that was not ok.
type worst struct{ Finding }

func (w *worst) add(v Verdict, seen, advice string) {
	if w.Verdict != Fail {
		w.Verdict = v
	}
	w.Seen = join(w.Seen, seen)
	if !strings.Contains(w.Advice, advice) {
		w.Advice = join(w.Advice, advice)
	}
}

// orOK returns what was seen, or that all is well.
func (w *worst) orOK(well string) Finding {
	if w.Verdict == "" {
		return Finding{Verdict: OK, Seen: well}
	}
	return w.Finding
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
