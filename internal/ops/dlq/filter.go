package dlq

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

// Filter chooses dead letters. The zero Filter chooses all. Every field that is
// set must match, and of a list one entry.
type Filter struct {
	Since, Until time.Time // when the letter was written; Until itself is out
	Types        []string
	Tenants      []string
	Codes        []string // words of last_error: 550, 5.1.1, 30003
	Errors       []string // parts of last_error, in any case
	IDs          []string
	Meta         []string // KEY=VALUE, or KEY for any value

	Lanes   []models.Lane // by which the request came
	ByTopic ops.Lanes     // the lanes of the channel; nil: all came by normal
}

// Check refuses what can match nothing.
func (f *Filter) Check() error {
	known := []string{
		string(models.FailurePermanent), string(models.FailureTransient), string(models.FailureValidation), string(models.FailureUnknown),
	}
	for _, t := range f.Types {
		if !slices.Contains(known, t) {
			return fmt.Errorf("failure type %q: want one of %s", t, strings.Join(known, ", "))
		}
	}
	lanes := models.Lanes()
	for _, lane := range f.Lanes {
		if !slices.Contains(lanes[:], lane) {
			return fmt.Errorf("lane %q: want one of high, normal, bulk", lane)
		}
	}
	for _, pair := range f.Meta {
		if key, _, _ := strings.Cut(pair, "="); key == "" {
			return fmt.Errorf("meta %q: want KEY=VALUE, or KEY for any value", pair)
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return fmt.Errorf("since %s is not before until %s", f.Since.Format(time.RFC3339), f.Until.Format(time.RFC3339))
	}
	return nil
}

// Match reports whether the filter chooses a letter.
func (f *Filter) Match(l *Letter) bool {
	switch {
	case !f.Since.IsZero() && l.Timestamp.Before(f.Since), !f.Until.IsZero() && !l.Timestamp.Before(f.Until):
		return false
	case !oneOf(f.Types, string(l.FailureType)), !oneOf(f.Tenants, l.TenantID), !oneOf(f.IDs, l.MessageID),
		!oneOf(f.Lanes, f.ByTopic.Of(l.Source.Topic)):
		return false
	}
	words := codes(l.LastError)
	return some(f.Codes, func(code string) bool { return slices.Contains(words, code) }) &&
		some(f.Errors, func(part string) bool { return strings.Contains(strings.ToLower(l.LastError), strings.ToLower(part)) }) &&
		f.matchMeta(l.Meta)
}

func (f *Filter) matchMeta(meta map[string]string) bool {
	for _, pair := range f.Meta {
		key, want, exact := strings.Cut(pair, "=")
		if value, ok := meta[key]; !ok || exact && value != want {
			return false
		}
	}
	return true
}

func oneOf[T ~string](list []T, s T) bool { return len(list) == 0 || slices.Contains(list, s) }

func some(list []string, ok func(string) bool) bool {
	return len(list) == 0 || slices.ContainsFunc(list, ok)
}

// codes returns the words of an error text that may be a provider's codes:
// those with a digit, enhanced mail codes whole.
func codes(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var list []string
	for _, w := range words {
		if w = strings.Trim(w, "."); strings.ContainsFunc(w, unicode.IsDigit) {
			list = append(list, w)
		}
	}
	return list
}
