package smtp

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"
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
		{"two codes", "250-a\r\n550 b\r\n", email.Reply{}, errProtocol},
		{"no code", "hello\r\n", email.Reply{}, errProtocol},
		{"code too high", "650 a\r\n", email.Reply{}, errProtocol},
		{"code too low", "150 a\r\n", email.Reply{}, errProtocol},
		{"no space", "250ok\r\n", email.Reply{}, errProtocol},
		{"empty line", "\r\n", email.Reply{}, errProtocol},
		{"cut", "250 Ok", email.Reply{}, io.EOF},
		{"cut between lines", "250-Ok\r\n", email.Reply{}, io.EOF},
		{"endless line", "250 " + strings.Repeat("x", 2*maxLine), email.Reply{}, errProtocol},
		{"endless reply", strings.Repeat("250-x\r\n", 2*maxLines), email.Reply{}, errProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := readReply(bufio.NewReaderSize(strings.NewReader(tt.in), maxLine), nil)
			if got != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("readReply(%.40q) = %+v, %v, want %+v, %v", tt.in, got, err, tt.want, tt.wantErr)
			}
		})
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

func FuzzReadReply(f *testing.F) {
	f.Add("250-2.1.0 a\r\n250 b\r\n")
	f.Add("550 5.1.1\r\n")
	f.Add("354")
	f.Fuzz(func(t *testing.T, in string) {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(in), maxLine), func(text []byte) { (&offers{}).add(string(text)) })
		if err != nil {
			return
		}
		if r.Code < 200 || r.Code > 599 || !utf8.ValidString(r.Message) || strings.ContainsFunc(r.Message, func(c rune) bool { return c < ' ' || c == 0x7f && unicode.IsControl(c) }) {
			t.Errorf("readReply(%q) = %+v", in, r)
		}
		queueID(r.Message)
	})
}
