package util

import (
	"strings"
	"unicode/utf8"
)

// Mask returns a mailbox or a number as a log may show it: enough to tell two
// apart for who knows them, and not enough to write to. What is neither is
// hidden whole.
//
//	john.doe@example.com  j***@example.com
//	+15557654321          +1555*****21
func Mask(address string) string {
	if at := strings.LastIndexByte(address, '@'); at > 0 {
		first, size := utf8.DecodeRuneInString(address)
		if first == utf8.RuneError || at <= size { // a local part of one character would be there whole
			return "***" + address[at:]
		}
		return address[:size] + "***" + address[at:]
	}
	const head, tail = 5, 2 // "+1555" and "21"
	if !strings.HasPrefix(address, "+") || len(address) < head+tail+2 {
		return "***"
	}
	return address[:head] + strings.Repeat("*", len(address)-head-tail) + address[len(address)-tail:]
}
