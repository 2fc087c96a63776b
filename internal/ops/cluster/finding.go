package cluster

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

// worst gathers what a check sees of several things into one finding.
type worst struct{ Finding }

// see adds one thing. The worst verdict is the finding's, and so are the texts
// of that verdict.
func (w *worst) see(v Verdict, seen, advice string) {
	rank := map[Verdict]int{OK: 1, Warn: 2, Fail: 3}
	switch {
	case rank[v] > rank[w.Verdict]:
		w.Verdict, w.Seen, w.Advice = v, seen, advice
	case rank[v] == rank[w.Verdict]:
		w.Seen = join(w.Seen, seen)
		if w.Advice != advice {
			w.Advice = join(w.Advice, advice)
		}
	}
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
