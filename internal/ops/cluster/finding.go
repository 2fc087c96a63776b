package cluster

import (
	"slices"
	"strings"
)

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
	Channel string   `json:"channel,omitzero"` // empty: about all of them
	Check   string   `json:"check"`
	Verdict Verdict  `json:"verdict"`
	Seen    string   `json:"seen"`
	Advice  []Advice `json:"advice,omitzero"` // what to do, where something is to be done
}

// Action is something that an Advice wants done with this package.
type Action string

// The actions. Text alone is an advice without one.
const (
	InitTopics    Action = "init topics"    // Init; Text says what that does
	AddPartitions Action = "add partitions" // Init with AddPartitions
	SetBrokers    Action = "set brokers"    // the addresses of the brokers
)

// Advice is one thing to do about a finding.
type Advice struct {
	Action     Action `json:"action,omitzero"`
	Channel    string `json:"channel,omitzero"`    // whose topics; empty means all
	Partitions int    `json:"partitions,omitzero"` // the number to set for AddPartitions; zero means that of the settings
	Text       string `json:"text,omitzero"`
}

func finding(v Verdict, seen string, advice ...Advice) Finding {
	return Finding{Verdict: v, Seen: seen, Advice: advice}
}

// worst gathers what a check sees of several things into one finding, by the
// worst verdict, with all that was not ok.
type worst struct{ Finding }

// add takes in what was seen, and an advice in words; empty for none.
func (w *worst) add(v Verdict, seen, advice string) { w.addAdvice(v, seen, Advice{Text: advice}) }

func (w *worst) addAdvice(v Verdict, seen string, advice Advice) {
	if w.Verdict != Fail {
		w.Verdict = v
	}
	if w.Seen != "" {
		w.Seen += "; "
	}
	w.Seen += seen
	known := func(a Advice) bool {
		return a.Action == advice.Action && a.Channel == advice.Channel && strings.Contains(a.Text, advice.Text)
	}
	if advice != (Advice{}) && !slices.ContainsFunc(w.Advice, known) {
		w.Advice = append(w.Advice, advice)
	}
}

// orOK returns what was seen, or that all is well.
func (w *worst) orOK(well string) Finding {
	if w.Verdict == "" {
		return finding(OK, well)
	}
	return w.Finding
}
