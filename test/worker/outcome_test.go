package worker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// The outcomes of a recipient's calls, one letter an attempt: A accepted, R
// refused for good, L told to come later, U cannot be classified, D may have
// been accepted, S accepted with an answer that nobody can read.
const (
	oneUnit = "A R LA LR LLR LLL LLU UA ULL UUU LD DA" // S is about a whole call
	apart   = oneUnit + " S LS US"
)

// told is what a recipient was told last.
type told struct {
	outcome byte
	text    string
	code    int
}

// mixture is a message whose recipients have outcomes of their own.
type mixture struct {
	script

	outcomes []string
	expires  bool
	mu       sync.Mutex
	made     map[int]map[int]told // by attempt and recipient
}

func (x *mixture) Decode(rec *models.Record) (common.Delivery, error) {
	d, err := x.script.Decode(rec)
	d.Envelope = &models.Envelope{MessageID: "m", Channel: models.Email, CreatedAt: time.Now()}
	d.Send = x.Send
	return d, err
}

func (x *mixture) Send(_ context.Context, call common.Call) (models.ProviderResponse, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.made[call.Attempt] == nil {
		x.made[call.Attempt] = map[int]told{}
	}
	f := &common.Failure{
		Class: models.FailurePermanent, Err: errors.New("what another was told"),
		Refused: []int{}, Open: []int{}, Answers: map[int]common.Answer{},
	}
	for _, i := range call.Recipients {
		outcomes := x.outcomes[i]
		one := told{outcome: outcomes[min(call.Attempt, len(outcomes))-1], code: 100*(i+1) + call.Attempt}
		one.text = fmt.Sprintf("%c to %d at %d", one.outcome, i, call.Attempt)
		x.made[call.Attempt][i] = one
		x.add(f, i, one)
	}
	response := models.ProviderResponse{Status: models.StatusOK, Code: 250}
	switch {
	case len(f.Answers) == 0:
		return response, nil
	case len(x.units) > 1: // one recipient a call: all is said of all
		answer := f.Answers[call.Recipients[0]]
		accepted := x.made[call.Attempt][call.Recipients[0]].outcome == 'S'
		return answer.Response, &common.Failure{
			Class: answer.Class, Err: answer.Err, Ambiguous: f.Ambiguous, Accepted: accepted, RetryAfter: f.RetryAfter,
		}
	}
	return response, f
}

func (x *mixture) add(f *common.Failure, i int, one told) {
	answer := common.Answer{
		Class: models.FailureTransient, Err: errors.New(one.text),
		Response: models.ProviderResponse{Status: models.StatusUnavailable, Code: one.code},
	}
	switch one.outcome {
	case 'A':
		return
	case 'R':
		answer.Class = models.FailurePermanent
		f.Refused, f.Answers[i] = append(f.Refused, i), answer
		return
	case 'U', 'S':
		answer.Class = models.FailureUnknown
	case 'D':
		f.Ambiguous, f.Doubtful = true, append(f.Doubtful, i)
	}
	if f.Doubtful == nil {
		f.Doubtful = []int{}
	}
	if x.expires {
		f.RetryAfter = time.Hour
	}
	f.Class, f.Open, f.Answers[i] = models.FailureTransient, append(f.Open, i), answer
}

// run takes the message from some progress to its end.
func (x *mixture) run(t *testing.T, progress message.Progress) *ledger {
	t.Helper()
	l := &ledger{}
	o := worker.Options{
		Channel: models.Email, MaxAttempts: 3, Backoff: worker.Backoff{Base: time.Second, Max: time.Second},
		CallTimeout: 30 * time.Second, RetryAfterMax: 2 * time.Hour, AmbiguousToDLQ: true,
	}
	if x.expires {
		o.MaxAge = time.Minute
	}
	x.made = map[int]map[int]told{}
	if err := worker.New(x, l, route.New(route.Options{Concurrency: 4}), o).Handle(lifetime.New(t.Context()), record(), progress, &lease{}); err != nil {
		t.Fatal(err)
	}
	return l
}

// verdict is what must be said of the end.
type verdict struct {
	failure models.FailureType // empty: sent
	texts   []string           // one of them
	status  string             // empty: that of the answer
	left    string             // failed_recipients of the dead letter
}

// verdictOf folds what the recipients were told last. An attempt that was cut has left
// those behind it in doubt who are not called again.
func verdictOf(last map[int]told, recipients int, expires bool) verdict {
	by := map[byte][]string{}
	var left []string
	for i := range recipients {
		one, ok := last[i]
		if one.outcome != 'A' {
			left = append(left, string(rune('a'+i)))
		}
		switch {
		case !ok:
			expires = false // it ends before it may
			one = told{'U', "the worker ended during the call (may have been accepted)", 0}
		case one.outcome == 'D':
			one.outcome = 'S'
		}
		by[one.outcome] = append(by[one.outcome], one.text)
	}
	if late := len(by['L']) + len(by['U']); expires && late > 0 {
		by['L'], by['U'], by['R'] = nil, nil, []string{"message expired"}
	}
	var v verdict
	switch {
	case len(by['A']) == recipients:
		return v
	case len(by['L']) > 0:
		v = verdict{failure: models.FailureTransient, texts: by['L']}
	case len(by['U']) > 0:
		v = verdict{failure: models.FailureUnknown, texts: by['U']}
	case len(by['S']) > 0:
		v = verdict{failure: models.FailureUnknown, texts: by['S']}
	default:
		v = verdict{failure: models.FailurePermanent, texts: by['R']}
	}
	switch {
	case len(by['A']) > 0:
		v.status = models.StatusPartial
	case len(by['R']) > 0:
		v.status = models.StatusRejected
	}
	if len(by['A'])+len(by['R']) > 0 {
		v.left = strings.Join(left, ",")
	}
	return v
}

// check compares the end of a ledger with what was told. Codes are those of
// the texts.
func (v verdict) check(t *testing.T, name string, l *ledger, codes map[string]int) {
	t.Helper()
	end := l.events[len(l.events)-1]
	if v.failure == "" {
		if end.EventType != models.EventSent || end.ProviderResponse.Status != models.StatusOK || len(l.letters) != 0 || end.Error != "" {
			t.Errorf("%s: %s ends in %+v", name, l, end)
		}
		return
	}
	if end.EventType != models.EventFailed || len(l.letters) != 1 {
		t.Errorf("%s: %s, want one dead letter and failed", name, l)
		return
	}
	if letter := l.letters[0]; letter.FailureType != v.failure || letter.LastError != end.Error || letter.Meta[models.MetaFailedRecipients] != v.left {
		t.Errorf("%s: dead letter %s %q of %q, want %s %q of %q", name, letter.FailureType, letter.LastError, letter.Meta, v.failure, end.Error, v.left)
	}
	v.checkAnswer(t, name, &end, codes)
}

func (v verdict) checkAnswer(t *testing.T, name string, ev *models.StatusEvent, codes map[string]int) {
	t.Helper()
	text, ok := strings.CutPrefix(ev.Error, string(v.failure)+" error: ")
	if got := ev.ProviderResponse; !ok || !slices.Contains(v.texts, text) || got.Code != codes[text] || v.status != "" && got.Status != v.status {
		t.Errorf("%s: %s tells %q with %s %d, want %+v and %d", name, ev.EventType, ev.Error, got.Status, got.Code, v, codes[text])
	}
}

// checkRetry compares a retry with what was told so far: its text, status and
// code are of those who are left, and its lists say who they are.
func (x *mixture) checkRetry(t *testing.T, ev *models.StatusEvent, known map[int]told, codes map[string]int) {
	t.Helper()
	v := verdictOf(known, len(x.outcomes), false)
	if v.status != models.StatusPartial {
		v.status = models.StatusUnavailable
	}
	v.checkAnswer(t, fmt.Sprint(x.outcomes), ev, codes)
	for list, outcomes := range map[string]string{
		models.MetaOpenRecipients: "LU", models.MetaRefusedRecipients: "R", models.MetaAssumedRecipients: "SD",
	} {
		var want []string
		for i := range x.outcomes {
			if strings.IndexByte(outcomes, known[i].outcome) >= 0 {
				want = append(want, strconv.Itoa(i))
			}
		}
		if got := ev.ProviderResponse.Meta[list]; got != strings.Join(want, ",") {
			t.Errorf("%v: %s of attempt %d is %q, want %q", x.outcomes, list, ev.Attempt, got, want)
		}
	}
}

// Who was accepted, refused or in doubt is not called again. The text, status
// and code of a message's end, and of each retry, belong to what decided it,
// whatever its recipients were told in whatever attempt, and whether one worker
// or two had it.
func TestEndTellsWhatDecidedIt(t *testing.T) {
	t.Parallel()
	for _, expires := range []bool{false, true} {
		for name, units := range map[string][][]int{"one call": {{0, 1, 2}}, "a call each": {{0}, {1}, {2}}} {
			t.Run(fmt.Sprintf("%s, expires %t", name, expires), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					outcomes := strings.Fields(apart)
					if len(units) == 1 {
						outcomes = strings.Fields(oneUnit)
					}
					for i, a := range outcomes {
						for _, b := range outcomes[i:] {
							for _, c := range outcomes {
								x := &mixture{script: script{recipients: []string{"a", "b", "c"}, units: units}, outcomes: []string{a, b, c}, expires: expires}
								x.check(t)
							}
						}
					}
				})
			})
		}
	}
}

func (x *mixture) check(t *testing.T) {
	t.Helper()
	l := x.run(t, message.Progress{})
	first := x.made
	for n, made := range first {
		for i := range made {
			if was := first[n-1][i].outcome; n > 1 && was != 'L' && was != 'U' {
				t.Errorf("%v: recipient %d is called in attempt %d", x.outcomes, i, n)
			}
		}
	}
	last, codes := map[int]told{}, map[string]int{}
	for n := 1; n <= len(first); n++ {
		x.note(last, codes, first[n])
	}
	verdictOf(last, len(x.outcomes), x.expires).check(t, fmt.Sprint(x.outcomes), l, codes)
	fold, known := journal.NewFold(), map[int]told{}
	for i, ev := range l.events {
		if ev.EventType == models.EventSent || ev.EventType == models.EventFailed {
			return
		}
		if ev.EventType == models.EventRetry {
			x.note(known, codes, first[ev.Attempt])
			x.checkRetry(t, &ev, known, codes)
		}
		fold.Add(journal.Key{}, &ev)
		if ev.EventType == models.EventRetry || ev.EventType == models.EventAttempt {
			progress, _ := fold.Look(journal.Key{})
			x.resumed(t, fmt.Sprint(x.outcomes, " cut behind ", i), progress, maps.Clone(known), maps.Clone(codes))
		}
	}
}

// note adds what was told in an attempt.
func (x *mixture) note(last map[int]told, codes map[string]int, made map[int]told) {
	maps.Copy(last, made)
	for _, one := range made {
		codes[one.text] = one.code
	}
}

// resumed lets another worker go on. What the first was told of a refusal it
// says again; of an answer that nobody could read, only that there was one.
func (x *mixture) resumed(t *testing.T, name string, progress message.Progress, last map[int]told, codes map[string]int) {
	t.Helper()
	for i, one := range last {
		switch one.outcome {
		case 'S', 'D':
			last[i] = told{'S', "an answer could not be read in an earlier attempt (may have been accepted)", 0}
		case 'L', 'U':
			delete(last, i) // called again, or cut
		}
	}
	l := x.run(t, progress)
	resolved := maps.Clone(last)
	for _, n := range slices.Sorted(maps.Keys(x.made)) {
		for i := range x.made[n] {
			if _, is := resolved[i]; is {
				t.Errorf("%s: recipient %d is called again", name, i)
			}
		}
		x.note(last, codes, x.made[n])
	}
	verdictOf(last, len(x.outcomes), x.expires).check(t, name, l, codes)
}
