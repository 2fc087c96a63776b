package util_test

import (
	"mime"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"messaging-worker/internal/util"
)

func check(t *testing.T, name string, predicate func(string) bool, valid, invalid []string) {
	t.Helper()
	for _, s := range valid {
		if !predicate(s) {
			t.Errorf("%s(%q) = false, want true", name, s)
		}
	}
	for _, s := range invalid {
		if predicate(s) {
			t.Errorf("%s(%q) = true, want false", name, s)
		}
	}
}

func TestIsUUIDv4(t *testing.T) {
	t.Parallel()
	check(t, "IsUUIDv4", util.IsUUIDv4,
		[]string{
			"1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61", "49787c3d-5ef1-4b31-88a1-0a42e53e1fb3",
			"00000000-0000-4000-a000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff",
		},
		[]string{
			"", "1E8F3B1B-4D0D-4BD3-9C86-2F72C7808C61", "1e8f3b1b-4d0d-1bd3-9c86-2f72c7808c61",
			"1e8f3b1b-4d0d-4bd3-cc86-2f72c7808c61", "1e8f3b1b4d0d4bd39c862f72c7808c61",
			"{1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61}", "urn:uuid:1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61",
			"1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c6g", "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c6", "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c611",
			"1e8f3b1b_4d0d-4bd3-9c86-2f72c7808c61", "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c6é",
		})
}

func TestParseUTC(t *testing.T) {
	t.Parallel()
	check(t, "ParseUTC", func(s string) bool { _, ok := util.ParseUTC(s); return ok },
		[]string{
			"2025-10-16T09:30:00Z", "2025-10-16T09:30:00+00:00", "2025-10-16T09:30:00.123456789Z",
			"2024-02-29T23:59:59.9+00:00", "0001-01-01T00:00:00Z",
		},
		[]string{
			"", "2025-10-16", "2025-10-16T09:30:00", "2025-10-16t09:30:00Z", "2025-10-16T09:30:00z", "2025-10-16 09:30:00Z",
			"2025-10-16T09:30:00-00:00", "2025-10-16T09:30:00+01:00", "2025-10-16T09:30:60Z", "2025-10-16T24:00:00Z",
			"2025-02-30T00:00:00Z", "2025-10-16T9:30:00Z", "2025-10-16T09:30:00.Z", "2025-10-16T09:30:00,5Z", "2025-10-16T09:30Z",
			"2025-10-16T09:30:00ZZ", "20251-10-16T09:30:00Z",
		})
	got, _ := util.ParseUTC("2025-10-16T09:30:00.5+00:00")
	if want := time.Date(2025, 10, 16, 9, 30, 0, 5e8, time.UTC); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("ParseUTC = %v, want %v", got, want)
	}
}

func TestIsE164(t *testing.T) {
	t.Parallel()
	check(t, "IsE164", util.IsE164,
		[]string{"+15551234567", "+12", "+123456789012345"},
		[]string{"", "+", "+1", "15551234567", "+05551234567", "+1234567890123456", "+1555 123", "+1555a", "++155", "+１２３", "whatsapp:+1555"})
}

func TestIsMIMEType(t *testing.T) {
	t.Parallel()
	check(t, "IsMIMEType", util.IsMIMEType,
		[]string{
			"image/png", "application/vnd.ms-excel", "audio/ogg", "image/svg+xml", "a/b",
			"audio/ogg; codecs=opus", "audio/ogg;codecs=opus", `video/mp4; codecs="avc1.42E01E, mp4a.40.2"`, "text/plain ; charset=utf-8", "image/png;",
			"text/plain; charset=UTF-8; format=flowed", "image/png; q=1; q=2", `a/b;x="\""`, "a/b ; ",
		},
		[]string{
			"image/*", "*/*", "image/*; q=1", "image; q=1", "/png; q=1", "image/p ng; q=1", "image/png; q", "image/png; =1", "image/png; q=1 2",
			"image/png, image/gif", `image/png; q="1`, "image/png;\n q=1", ";", "; q=1", "image/png; q=a/b", "image/png;;", "image/png; ; q=1", `image/png; q="1" 2`, `image/png; q="ü"`, "image/png ",
			"", "image", "image/", "/png", "image/p ng", "image/png/x", "im age/png", "-x/y",
		})
}

func TestIsHTTPURL(t *testing.T) {
	t.Parallel()
	check(t, "IsHTTPURL", util.IsHTTPURL,
		[]string{"http://example.com", "https://example.com/a.png?x=1#y", "https://[::1]:8443/x", "HTTPS://example.com/"},
		[]string{"", "example.com/a.png", "/a.png", "ftp://example.com/a", "http://", "http:///x", "https://u:p@example.com/", "http://exa mple.com", "http://example.com/\n", "http://example.com/%zz", "http://:80/"})
}

func TestHasControl(t *testing.T) {
	t.Parallel()
	check(t, "HasControl", util.HasControl,
		[]string{"a\nb", "a\rb", "\x00", "a\x7f", "\u0085", "\x1b[0m"},
		[]string{"", "a\tb", "Grüße 👋", "plain"})
}

func TestIsMailbox(t *testing.T) {
	t.Parallel()
	local64, label63 := strings.Repeat("l", 64), strings.Repeat("d", 63)
	long := local64 + "@" + label63 + "." + label63 + "." // 64+1+63+1+63+1 = 193
	check(t, "IsMailbox", util.IsMailbox,
		[]string{
			"a@b", "user@example.com", "user+tag@example.co.uk", "o'brien@example.com", "!#$%&'*+-/=?^_`{|}~@example.com",
			`"quoted local"@example.com`, `"a@b"@example.com`, `"a\"b"@example.com`, `"a\\"@example.com`, `""@example.com`, `">x"@example.com`,
			"user@[192.0.2.1]", "user@[IPv6:2001:db8::1]", "user@[ipv6:::1]",
			"käse@example.com", "user@bücher.example", "用户@例子.广告", `"käse brot"@example.com`,
			"user@localhost", "user@123.456", "user@a-b.example", local64 + "@example.com",
			long + strings.Repeat("d", 61),
		},
		[]string{
			"", "@", "user", "user@", "@example.com", "user@@example.com", "user@a@b", ".user@example.com", "user.@example.com", "us..er@example.com",
			"us er@example.com", "user@example.com ", " user@example.com", "user@exam ple.com", "User <user@example.com>", "<user@example.com>",
			"user(comment)@example.com", "user@example.com(comment)", "user@-a.com", "user@a-.com", "user@a..com", "user@.com", "user@a.com.", "user@a_b.com",
			"user@example.com\r\nRCPT TO:<x@y>", "us\ner@example.com", "user@example.com\x00", `"a"b"@example.com`, `"a@example.com`, `"a\"@example.com`, "\"a\nb\"@example.com",
			`u@example.com> ORCPT=rfc822;admin@x.com`, `"x"y@example.com`, `a"b"@example.com`,
			"user@[192.0.2.256]", "user@[192.0.2]", "user@[2001:db8::1]", "user@[IPv6:192.0.2.1]", "user@[IPv6:fe80::1%eth0]", "user@[]", "user@[tag:content]", "user@[tag:a]b]", "user@[192.0.2.1",
			"l" + local64 + "@example.com", long + strings.Repeat("d", 62), "user@" + label63 + "d.com",
			"user\u202e@example.com", "us\u00a0er@example.com", "user@exa\u2028mple.com", "a\xff@example.com", "user@exa\u200bmple.com",
		})
}

func TestMailboxKey(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"User@EXAMPLE.com", "User@example.com"},
		{`"A@B"@Example.Com`, `"A@B"@example.com`},
		{"none", "none"},
		{"User@[IPv6:::A]", "User@[ipv6:::a]"},
		{"Üser@BÜCHER.example", "Üser@xn--bcher-kva.example"},
		{"User@XN--BCHER-kva.Example", "User@xn--bcher-kva.example"},
		{"User@" + strings.Repeat("Ü", 60), "User@" + strings.Repeat("ü", 60)}, // it has no ASCII form
	}
	for _, tt := range tests {
		if got := util.MailboxKey(tt.in); got != tt.want {
			t.Errorf("MailboxKey(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestLongerThan(t *testing.T) {
	t.Parallel()
	if util.LongerThan("äöü", 3) || !util.LongerThan("äöü", 2) || util.LongerThan("abc", 3) || !util.LongerThan("abcd", 3) {
		t.Error("LongerThan counts something other than runes")
	}
}

func FuzzIsUUIDv4(f *testing.F) {
	want := regexp.MustCompile(`\A[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z`)
	f.Add("1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61")
	f.Fuzz(func(t *testing.T, s string) {
		if got := util.IsUUIDv4(s); got != want.MatchString(s) {
			t.Errorf("IsUUIDv4(%q) = %v", s, got)
		}
	})
}

func FuzzIsE164(f *testing.F) {
	want := regexp.MustCompile(`\A\+[1-9][0-9]{1,14}\z`)
	f.Add("+15551234567")
	f.Fuzz(func(t *testing.T, s string) {
		if got := util.IsE164(s); got != want.MatchString(s) {
			t.Errorf("IsE164(%q) = %v", s, got)
		}
	})
}

func FuzzParseUTC(f *testing.F) {
	want := regexp.MustCompile(`\A\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d+)?(Z|\+00:00)\z`)
	f.Add("2025-10-16T09:30:00.123Z")
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := util.ParseUTC(s)
		if ok && (!want.MatchString(s) || at.Format("2006-01-02T15:04:05") != s[:19]) {
			t.Errorf("ParseUTC(%q) = %v", s, at)
		}
		if _, err := time.Parse(time.RFC3339, s); !ok && err == nil && want.MatchString(s) {
			t.Errorf("ParseUTC(%q) = false", s)
		}
	})
}

// What is taken for a MIME type is one to the library too, and no wildcard.
func FuzzIsMIMEType(f *testing.F) {
	f.Add("audio/ogg; codecs=opus")
	f.Add(`a/b ;x="\""`)
	f.Fuzz(func(t *testing.T, s string) {
		if !util.IsMIMEType(s) {
			return
		}
		bare, _, err := mime.ParseMediaType(s)
		twice := err != nil && strings.Contains(err.Error(), "duplicate") // which harms nobody
		if err != nil && !twice || strings.Contains(bare, "*") || util.HasControl(s) {
			t.Errorf("IsMIMEType(%q) = true, though it is %q, %v", s, bare, err)
		}
	})
}

// Whatever is taken for a mailbox must be safe inside MAIL FROM:<…>.
func FuzzIsMailbox(f *testing.F) {
	for _, s := range []string{"user@example.com", `"a b"@[192.0.2.1]`, "用户@例子.广告", `"\\\""@b`, "a@[IPv6:::1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !util.IsMailbox(s) {
			return
		}
		if len(s) > 254 || !utf8.ValidString(s) || util.HasControl(s) || strings.Contains(s, "\t") {
			t.Errorf("IsMailbox(%q) = true", s)
		}
		outside := regexp.MustCompile(`"(\\.|[^"\\])*"`).ReplaceAllString(s, "")
		if strings.ContainsAny(outside, " <>(),;\\\"") {
			t.Errorf("IsMailbox(%q) = true, though it could end or add to a command", s)
		}
	})
}
