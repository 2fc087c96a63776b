package smtp

import (
	"context"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // CRAM-MD5 is what some servers have
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net"
	"slices"

	"github.com/emersion/go-sasl"

	"messaging-worker/internal/providers/email"
)

// maxAuthLine is the longest AUTH command with its initial response in it
// (RFC 4954, 4: the line length of RFC 5321, 4.5.3.1.4, without CR LF).
const maxAuthLine = 510

// maxChallenges bounds a server that never comes to an end.
const maxChallenges = 8

// authenticate proves who we are, where the settings want it.
func (p *Provider) authenticate(ctx context.Context, c *conn) error {
	const stage = "AUTH"
	if p.opts.Auth == AuthNone {
		return nil
	}
	wrong := func(text string) error { return &email.SetupError{Stage: stage, Err: errors.New(text)} }
	if !c.secure && !isLoopback(c.raw.RemoteAddr()) {
		return wrong("credentials are not sent without TLS")
	}
	password, err := p.opts.Password()
	if err != nil {
		return wrong("the password cannot be read")
	}
	client := mechanism(p.opts.Auth, c, p.opts.Username, password)
	if client == nil {
		return wrong("the server does not offer the authentication that is set")
	}
	r, err := exchange(c, client)
	if errors.Is(err, sasl.ErrUnexpectedServerChallenge) {
		return wrong("the server asks what the authentication does not know")
	}
	// What a server says here may repeat what we sent it, a secret included.
	r.Message = "authentication refused"
	return p.granted(ctx, c, stage, r, err)
}

// exchange speaks AUTH (RFC 4954, 4) until the server has decided.
func exchange(c *conn, client sasl.Client) (email.Reply, error) {
	name, first, err := client.Start()
	if err != nil {
		return email.Reply{}, err
	}
	command := "AUTH " + name
	if first != nil && len(command)+1+base64.StdEncoding.EncodedLen(len(first)) <= maxAuthLine {
		command += " " + encode(first)
		first = nil
	}
	r, err := c.ask(command)
	for range maxChallenges {
		if err != nil || r.Code != 334 {
			return r, err
		}
		response := first
		if first == nil {
			if response, err = client.Next(decode(r.Message)); err != nil {
				return email.Reply{}, err
			}
		}
		first = nil
		r, err = c.ask(base64.StdEncoding.EncodeToString(response))
	}
	return email.Reply{}, errProtocol
}

// encode is an initial response, which must not be empty (RFC 4954, 4).
func encode(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}

// decode reads a challenge. One that cannot be read is given as it is: the
// mechanism that needs it will fail.
func decode(text string) []byte {
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		return b
	}
	return []byte(text)
}

// mechanism chooses among what the server offers; nil when nothing fits.
func mechanism(auth string, c *conn, username, password string) sasl.Client {
	order := []string{AuthPlain, AuthLogin, AuthCRAMMD5, AuthXOAUTH2}
	switch {
	case auth != AuthAuto:
		order = []string{auth}
	case !c.secure: // to a loopback host
		order = []string{AuthCRAMMD5, AuthPlain, AuthLogin, AuthXOAUTH2}
	}
	for _, name := range order {
		client, wire := sasl.Client(nil), ""
		switch name {
		case AuthPlain:
			client, wire = sasl.NewPlainClient("", username, password), sasl.Plain
		case AuthLogin:
			client, wire = &login{answers: []string{username, password}}, sasl.Login
		case AuthCRAMMD5:
			client, wire = cramMD5{username, password}, "CRAM-MD5"
		case AuthXOAUTH2:
			client, wire = xoauth2{username, password}, "XOAUTH2"
		}
		if slices.Contains(c.offers.auth, wire) {
			return client
		}
	}
	return nil
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// login is LOGIN for servers as they are: the library's gives the user name
// at once, which some refuse, and goes by the prompts' wording, which no
// document fixes.
type login struct{ answers []string }

func (l *login) Start() (string, []byte, error) { return sasl.Login, nil, nil }

func (l *login) Next([]byte) ([]byte, error) {
	if len(l.answers) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	answer := l.answers[0]
	l.answers = l.answers[1:]
	return []byte(answer), nil
}

// cramMD5 is CRAM-MD5 (RFC 2195).
type cramMD5 struct{ username, password string }

func (a cramMD5) Start() (string, []byte, error) { return "CRAM-MD5", nil, nil }

func (a cramMD5) Next(challenge []byte) ([]byte, error) {
	mac := hmac.New(md5.New, []byte(a.password))
	mac.Write(challenge)
	return []byte(a.username + " " + hex.EncodeToString(mac.Sum(nil))), nil
}

// xoauth2 is Google's and Microsoft's XOAUTH2: the password is an access
// token. Its one challenge is an error report, to be answered with nothing.
type xoauth2 struct{ username, token string }

func (a xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + a.username + "\x01auth=Bearer " + a.token + "\x01\x01"), nil
}

func (a xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }
