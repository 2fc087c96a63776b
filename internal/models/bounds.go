package models

import (
	"maps"
	"unicode/utf8"
)

// Limits of the texts in events and dead letters, in runes. They keep every
// event far below a topic's usual limit of 1 MiB, so that none is unwritable.
const (
	MaxTextRunes  = 1024 // trace ids, provider messages and raw, meta values, the tenant-id header
	MaxErrorRunes = 4096
	MaxKeyBytes   = 1024 // a record key longer than this is not used as an id
)

// The meta entries that the worker itself adds. They are never cut: a list
// that lost its end would name the wrong recipients.
const (
	MetaNextAttemptAt      = "next_attempt_at"     // retry: RFC 3339
	MetaOpenRecipients     = "open_recipients"     // retry: indexes, comma-separated
	MetaRefusedRecipients  = "refused_recipients"  // retry: indexes refused for good, where there are any
	MetaAssumedRecipients  = "assumed_recipients"  // retry: indexes accepted with an unreadable answer, where there are any
	MetaRefusedError       = "refused_error"       // retry: what the first of those was told; may be cut
	MetaRefusedCode        = "refused_code"        // retry: its HTTP or SMTP status code, where there is one
	MetaNotCalled          = "not_called"          // retry: decimal, the run of an attempt that is not spent; see StatusEvent
	MetaAcceptedRecipients = "accepted_recipients" // canceled: indexes of those who got it, where there are any
	MetaFailedRecipients   = "failed_recipients"   // dead letter: addresses, comma-separated
	MetaOriginalOmitted    = "original_omitted"    // dead letter: "true"
	MetaOriginalSHA256     = "original_sha256"     // dead letter: hex
	MetaOriginalBytes      = "original_bytes"      // dead letter: decimal
	MetaHeadersOmitted     = "headers_omitted"     // dead letter: "true"
)

// CutRunes returns at most n runes of s, cut on a rune boundary. An invalid
// byte counts as one rune.
func CutRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := 0; i < len(s); n-- {
		if n == 0 {
			return s[:i]
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return s
}

// wholeEntry reports the entries that are never cut.
func wholeEntry(key string) bool {
	return key == MetaOpenRecipients || key == MetaRefusedRecipients ||
		key == MetaAssumedRecipients || key == MetaFailedRecipients
}

func boundMeta(meta map[string]string) map[string]string {
	var out map[string]string
	for key, value := range meta {
		cut := CutRunes(value, MaxTextRunes)
		if len(cut) == len(value) || wholeEntry(key) {
			continue
		}
		if out == nil {
			out = maps.Clone(meta)
		}
		out[key] = cut
	}
	if out == nil {
		return meta
	}
	return out
}

func (r *ProviderResponse) bound() *ProviderResponse {
	if r == nil {
		return nil
	}
	b := *r
	b.Message = CutRunes(b.Message, MaxTextRunes)
	b.Raw = CutRunes(b.Raw, MaxTextRunes)
	b.Meta = boundMeta(b.Meta)
	return &b
}
