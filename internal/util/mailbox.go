package util

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of a mailbox in octets (RFC 5321, 4.5.3.1 and its erratum 1690).
const (
	maxLocal   = 64
	maxMailbox = 254
	maxDomain  = 255
	maxLabel   = 63
)

// IsMailbox reports whether s is an RFC 5321 Mailbox, with the extensions of
// RFC 6531: a dot-string or quoted local part, at a domain or an address
// literal. Nothing that it takes can end an SMTP command or add to it.
func IsMailbox(s string) bool {
	if len(s) > maxMailbox || !utf8.ValidString(s) {
		return false
	}
	at := splitMailbox(s)
	if at < 1 || at > maxLocal || at == len(s)-1 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if local[0] == '"' {
		if !isQuoted(local) {
			return false
		}
	} else if !isDotString(local) {
		return false
	}
	if domain[0] == '[' {
		return isLiteral(domain)
	}
	return isDomain(domain)
}

// MailboxKey returns what two spellings of one mailbox have in common: the
// local part as it is, the domain in lower case (RFC 5321, 2.4) and, where it
// has one, in its ASCII form (RFC 5890, 2.3.2.4).
func MailboxKey(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	domain, _ := ASCIIDomain(s[at+1:])
	return s[:at+1] + strings.ToLower(domain)
}

// ASCIIDomain returns a domain in its ASCII form (RFC 5890, 2.3.2.1), one in
// ASCII or an address literal as it is. It maps as for a lookup (UTS 46), so
// that the name is the one that a person's mail program would ask for. The
// domain comes back as it is, and false, where it has no such form.
func ASCIIDomain(domain string) (string, bool) {
	if IsASCII(domain) {
		return domain, true
	}
	lookup := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
	if ascii, err := lookup.ToASCII(domain); err == nil {
		return ascii, true
	}
	return domain, false
}

// IsASCII reports whether a text has no octet above 127.
func IsASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// splitMailbox returns the index of the @ between local part and domain, or
// -1. One inside a quoted local part does not count.
func splitMailbox(s string) int {
	if s == "" || s[0] != '"' {
		return strings.IndexByte(s, '@')
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if i+1 < len(s) && s[i+1] == '@' {
				return i + 1
			}
			return -1
		}
	}
	return -1
}

func isDotString(s string) bool {
	dot := true // an atom must follow
	for _, r := range s {
		switch {
		case r == '.':
			if dot {
				return false
			}
			dot = true
		case isAtext(r):
			dot = false
		default:
			return false
		}
	}
	return !dot
}

// isAtext is atext of RFC 5322, and any non-ASCII character (RFC 6531) but
// the controls and separators among them.
func isAtext(r rune) bool {
	if r >= utf8.RuneSelf {
		return isPlainUTF8(r)
	}
	//nolint:gosec // r is below utf8.RuneSelf
	return isAlnum(byte(r)) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", byte(r)) >= 0
}

// isPlainUTF8 keeps out what could deceive a reader or a server: C1 controls,
// spaces, line separators, direction marks and private use.
func isPlainUTF8(r rune) bool {
	switch {
	case r < 0xa1, r == 0xad, r == 0x1680, r == 0x180e, r == 0x3000, r == 0xfeff, r == utf8.RuneError:
		return false
	case r >= 0x2000 && r <= 0x200f, r >= 0x2028 && r <= 0x202f, r >= 0x205f && r <= 0x206f:
		return false
	case r >= 0xd800 && r <= 0xf8ff, r >= 0xfff0 && r <= 0xffff, r >= 0xe0000:
		return false
	}
	return true
}

// isQuoted is Quoted-string of RFC 5321: qtextSMTP or a quoted pair.
func isQuoted(s string) bool {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return false
	}
	inner := s[1 : len(s)-1]
	escaped := false
	for _, r := range inner {
		switch {
		case r >= utf8.RuneSelf:
			if escaped || !isPlainUTF8(r) {
				return false
			}
		case r < ' ' || r == 0x7f:
			return false
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '"':
			return false
		}
	}
	return !escaped
}

// IsHeloName reports whether a text may be the argument of EHLO: a domain in
// ASCII or an address literal (RFC 5321, 4.1.1.1). A bare address is neither,
// and no domain has an underscore.
func IsHeloName(s string) bool {
	if !IsASCII(s) {
		return false
	}
	if strings.HasPrefix(s, "[") {
		return isLiteral(s)
	}
	_, err := netip.ParseAddr(s)
	return err != nil && isDomain(s)
}

func isDomain(s string) bool {
	if len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		switch {
		case r >= utf8.RuneSelf:
			if !isPlainUTF8(r) {
				return false
			}
		case r != '-' && !isAlnum(byte(r)): //nolint:gosec // r is below utf8.RuneSelf
			return false
		}
	}
	return true
}

// isLiteral is an address literal of RFC 5321, 4.1.3: IPv4, or IPv6 with its
// tag. A general literal needs a tag registered with IANA, and there is none
// but IPv6.
func isLiteral(s string) bool {
	if len(s) < 3 || s[len(s)-1] != ']' {
		return false
	}
	s = s[1 : len(s)-1]
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		addr, err := netip.ParseAddr(s[5:])
		return err == nil && addr.Is6() && addr.Zone() == ""
	}
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}
