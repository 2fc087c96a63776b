package smtp

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"messaging-worker/internal/providers/email"
)

func TestReadReply(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     email.Reply
		wantErr  error
	}{
		{"plain", "250 Ok\r\n", email.Reply{Code: 250, Message: "Ok"}, nil},
		{"no text", "354\r\n", email.Reply{Code: 354}, nil},
		{"bare LF", "250 Ok\n", email.Reply{Code: 250, Message: "Ok"}, nil},
		{"enhanced", "550 5.1.1 no such user\r\n", email.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Message: "no such user"}, nil},
		{"enhanced alone", "550 5.7.511\r\n", email.Reply{Code: 550, Enhanced: [3]int{5, 7, 511}}, nil},
		{"not enhanced", "250 1.2.3 mail.example.com 10.0.0.1\r\n", email.Reply{Code: 250, Message: "1.2.3 mail.example.com 10.0.0.1"}, nil},
		{"an address, not enhanced", "550 5.1.1.1 is blocked\r\n", email.Reply{Code: 550, Message: "5.1.1.1 is blocked"}, nil},
		{"several lines", "250-2.1.0 one\r\n250-2.1.0 two\r\n250 2.1.0 three\r\n", email.Reply{Code: 250, Enhanced: [3]int{2, 1, 0}, Message: "one"}, nil},
		{"controls and broken UTF-8", "550 a\x00\x1b\xffb\r\n", email.Reply{Code: 550, Message: "a  \uFFFDb"}, nil},
		{"no code behind a code", "250-2.0.0 Ok\r\nthank you\r\n250 2.0.0 queued\r\n", email.Reply{Code: 250, Enhanced: [3]int{2, 0, 0}, Message: "Ok"}, nil},
		{"two codes", "250-a\r\n550 5.1.1 b\r\n", email.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Message: "b"}, nil},
		{"two codes, the other way", "550-5.1.1 a\r\n250 b\r\n", email.Reply{Code: 250, Message: "b"}, nil},
		{"enhanced behind", "550-a\r\n550 5.1.1 b\r\n", email.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Message: "a"}, nil},
		{"tab", "250\tOk\r\n", email.Reply{Code: 250, Message: "Ok"}, nil},
		{"tabs behind it", "250-\ta\r\n250\t\tb\r\n", email.Reply{Code: 250, Message: "a"}, nil},
		{"empty lines first", "\r\n\n250 Ok\r\n", email.Reply{Code: 250, Message: "Ok"}, nil},
		{"a line first", "hello\r\n250 Ok\r\n", email.Reply{Code: 250, Message: "Ok"}, nil},
		{"four digits", "250-a\r\n2500 messages today\r\n250 b\r\n", email.Reply{Code: 250, Message: "a"}, nil},
		{"long lines", "250-" + strings.Repeat("x", 3*maxLine) + "\r\n250 " + strings.Repeat("y", 3*maxLine) + "\r\n", email.Reply{Code: 250, Message: strings.Repeat("x", maxLine-4)}, nil},
		{"many lines", strings.Repeat("250-x\r\n", 9999) + "250 y\r\n", email.Reply{Code: 250, Message: "x"}, nil},
		{"no code", "hello\r\n", email.Reply{}, io.EOF},
		{"code too high", "650 a\r\n", email.Reply{}, io.EOF},
		{"code too low", "150 a\r\n", email.Reply{}, io.EOF},
		{"no space", "250ok\r\n", email.Reply{}, io.EOF},
		{"empty line", "\r\n", email.Reply{}, io.EOF},
		{"cut", "250 Ok", email.Reply{}, io.EOF},
		{"cut between lines", "250-Ok\r\n", email.Reply{}, io.EOF},
		{"endless line", "250 " + strings.Repeat("x", 2*maxReply), email.Reply{}, errProtocol},
		{"endless reply", strings.Repeat("250-x\r\n", maxReply/7+1), email.Reply{}, errProtocol},
		{"endless emptiness", strings.Repeat("\r\n", maxReply/2+1), email.Reply{}, errProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseReply(bufio.NewReaderSize(strings.NewReader(tt.in), maxLine), nil, nil)
			if got != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("readReply(%.40q) = %+v, %v, want %+v, %v", tt.in, got, err, tt.want, tt.wantErr)
			}
		})
	}
}

// TestWhatCameOfAReply cuts replies.
func TestWhatCameOfAReply(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, text string
		refuses  bool
	}{
		{"2", "2", false},
		{"25", "25", false},
		{"250 Ok", "250 Ok", false},
		{"250-Ok\r\n", "250-Ok", false},
		{"\r\nhello", "hello", false},
		{"5", "5", true},
		{"45", "45", true},
		{"451 4.3.0 try la", "451 4.3.0 try la", true},
		{"550-a\r\n", "550-a", true},
		{"550-a\r\n5 people", "550-a", true},
		{"250-a\r\n5 people", "250-a", false},
		{"250-a\r\n550 b", "250-a", true},
		{"500 people read this", "500 people read this", true},
		{"5000 people read this", "5000 people read this", false},
	}
	for _, tt := range tests {
		_, err := parseReply(bufio.NewReaderSize(strings.NewReader(tt.in), maxLine), nil, nil)
		got, ok := errors.AsType[*unreadable](err)
		if !ok || got.text != tt.text || got.refuses != tt.refuses {
			t.Errorf("readReply(%q): %+v, want %q, refuses %v", tt.in, got, tt.text, tt.refuses)
		}
	}
	for _, in := range []string{"", "\r\n", " \t\r\n"} {
		_, err := parseReply(bufio.NewReader(strings.NewReader(in)), nil, nil)
		if _, ok := errors.AsType[*unreadable](err); ok || !errors.Is(err, io.EOF) {
			t.Errorf("readReply(%q): %v, want nothing but the end", in, err)
		}
	}
}

func TestQueueID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Ok: queued as 4F2A1B":                       "4F2A1B",
		"Ok: queued as 4F2A1B (id=9).":               "4F2A1B",
		"OK id=1abcDE-000001-XY":                     "1abcDE-000001-XY",
		"42ABCD012345 Message accepted for delivery": "42ABCD012345",
		"OK 1729070000 d2e1a72fcca58-gsmtp":          "",
		"":                                           "",
		"queued as ":                                 "",
		"Ok: queued as " + strings.Repeat("x", 1000): "",
	} {
		if got := queueID(text); got != want {
			t.Errorf("queueID(%q) = %q, want %q", text, got, want)
		}
	}
}

// lastOfReply is the grammar's "last".
var lastOfReply = regexp.MustCompile(`(?s)^([2-5][0-9][0-9])(?:[ \t].*)?$`)

// FuzzReadReply holds the reader to its grammar, at any size of its buffer.
func FuzzReadReply(f *testing.F) {
	f.Add("250-2.1.0 a\r\n250 b\r\n")
	f.Add("550 5.1.1\r\n")
	f.Add("354")
	f.Add("\r\nhello\n250-x\n550\ty\n220 z\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		src := strings.NewReader(in)
		buffered := bufio.NewReaderSize(src, maxLine)
		r, err := parseReply(buffered, nil, func(text []byte) { (&offers{}).add(string(text)) })
		if err == nil && (!utf8.ValidString(r.Message) || strings.ContainsFunc(r.Message, func(c rune) bool { return c < ' ' || c == 0x7f })) {
			t.Errorf("readReply(%q) = %+v", in, r)
		}
		queueID(r.Message)
		code, rest := 0, in
		for code == 0 {
			line, behind, ok := strings.Cut(rest, "\n")
			if !ok {
				break
			}
			rest = behind
			if m := lastOfReply.FindStringSubmatch(strings.TrimRight(line, "\r")); m != nil {
				code, _ = strconv.Atoi(m[1])
			}
		}
		left, _ := io.ReadAll(buffered)
		if got := err == nil; got != (code != 0) || r.Code != code || got && string(left) != rest {
			t.Errorf("readReply(%q) = %+v, %v, then %q, want %d, then %q", in, r, err, left, code, rest)
		}
	})
}
