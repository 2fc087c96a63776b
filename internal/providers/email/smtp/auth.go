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
	"sync"

	"github.com/emersion/go-sasl"

	"messaging-worker/internal/providers/email"
)

// maxAuthLine is the longest AUTH command with its initial response in it
// (RFC 4954, 4: the line length of RFC 5321, 4.5.3.1.4, without CR LF).
const maxAuthLine = 510

// maxChallenges bounds a server that never comes to an end.
const maxChallenges = 8

// authenticate logs in, unless AuthNone is set.
func (p *Provider) authenticate(ctx context.Context, c *conn) error {
	const stage = email.StageAUTH
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
	clients := mechanisms(p.opts.Auth, c, p.opts.Username, password)
	if len(clients) == 0 {
		return wrong("the server does not offer the authentication that is set")
	}
	return p.tryEach(ctx, c, p.refusedMechanisms.last(clients))
}

// tryEach authenticates by the first mechanism that the server takes: a server
// may offer one that it does not have, or not for this user. If it closes the
// connection after refusing a mechanism, c.retryConnect says that a new
// connection may get further. A refusal of the credentials ends it.
func (p *Provider) tryEach(ctx context.Context, c *conn, clients []mechanism) (err error) {
	const stage = email.StageAUTH
	for i, client := range clients {
		r, failed := exchange(c, client.Client)
		if errors.Is(failed, sasl.ErrUnexpectedServerChallenge) {
			return &email.SetupError{Stage: stage, Err: errors.New("the server asks what the authentication does not know")}
		}
		if i > 0 && (failed != nil || r.Code == 421) && !errors.Is(failed, errProtocol) && !timedOut(ctx, failed) {
			c.retryConnect = !p.refusedMechanisms.has(client.name)
			return err
		}
		// The reply's text may repeat what we sent, a secret included.
		r.Message = "authentication refused"
		if err = p.checkReply(ctx, c, stage, r, failed); err == nil || failed != nil || !anotherMechanism(r) {
			return err
		}
		if len(clients) > 1 {
			p.refusedMechanisms.add(client.name)
		}
	}
	return err
}

// anotherMechanism reports an answer that is about the mechanism and not the
// credentials (RFC 4954, 4 and 6): 500, 501, 502 and 504, which some servers
// give to one that they have offered; 432, the user is to log in once by PLAIN;
// 534, it is too weak for this user; 538, it needs encryption.
func anotherMechanism(r email.Reply) bool {
	return slices.Contains([]int{432, 500, 501, 502, 504, 534, 538}, r.Code)
}

// mechanism is a SASL client and its name on the wire.
type mechanism struct {
	sasl.Client

	name string
}

// mechanismSet holds the mechanisms that the server has refused though it
// offered them. They are tried last from then on: some servers count failures.
type mechanismSet struct {
	mu    sync.Mutex
	names []string
}

func (r *mechanismSet) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.names, name) {
		r.names = append(r.names, name)
	}
}

func (r *mechanismSet) has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.names, name)
}

// last sorts the refused mechanisms behind the others.
func (r *mechanismSet) last(clients []mechanism) []mechanism {
	slices.SortStableFunc(clients, func(a, b mechanism) int {
		switch refused := r.has(a.name); {
		case refused == r.has(b.name):
			return 0
		case refused:
			return 1
		}
		return -1
	})
	return clients
}

// exchange sends AUTH and answers challenges (RFC 4954, 4) until the server has
// decided.
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
	r, err := c.command(command)
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
		r, err = c.command(base64.StdEncoding.EncodeToString(response))
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

// decode decodes a challenge. One that is not base64 is returned as it is: the
// mechanism that needs it will fail.
func decode(text string) []byte {
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		return b
	}
	return []byte(text)
}

// mechanisms chooses among what the server offers, the best first.
func mechanisms(auth string, c *conn, username, password string) (list []mechanism) {
	order := []string{AuthPlain, AuthLogin, AuthCRAMMD5, AuthXOAUTH2}
	switch {
	case auth != AuthAuto:
		order = []string{auth}
	case !c.secure: // to a loopback host
		order = []string{AuthCRAMMD5, AuthPlain, AuthLogin, AuthXOAUTH2}
	}
	for _, name := range order {
		client := mechanism{}
		switch name {
		case AuthPlain:
			client = mechanism{sasl.NewPlainClient("", username, password), sasl.Plain}
		case AuthLogin:
			client = mechanism{&login{answers: []string{username, password}}, sasl.Login}
		case AuthCRAMMD5:
			client = mechanism{cramMD5{username, password}, "CRAM-MD5"}
		case AuthXOAUTH2:
			client = mechanism{xoauth2{username, password}, "XOAUTH2"}
		}
		if slices.Contains(c.offers.auth, client.name) {
			list = append(list, client)
		}
	}
	return list
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// login is LOGIN for servers as they are: the library's gives the user name
// at once, which some refuse, and depends on the prompts' wording, which no
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
