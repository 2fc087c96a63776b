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
	"strings"

	"messaging-worker/internal/providers/email"
)

const (
	// maxAuthLine is the longest AUTH command with its initial response in it
	// (RFC 4954, 4: the line length of RFC 5321, 4.5.3.1.4, without CR LF).
	maxAuthLine   = 510
	maxChallenges = 8 // of a server that never comes to an end
)

// authenticate logs in, unless AuthNone is set.
func (p *Provider) authenticate(ctx context.Context, c *conn) error {
	const stage = email.StageAUTH
	if p.opts.Auth == AuthNone {
		return nil
	}
	wrong := func(text string) error { return &email.SetupError{Stage: stage, Err: errors.New(text)} }
	if peer, ok := c.raw.RemoteAddr().(*net.TCPAddr); !c.secure && (!ok || !peer.IP.IsLoopback()) {
		return wrong("credentials are not sent without TLS")
	}
	password, err := p.opts.Password()
	if err != nil {
		return wrong("the password cannot be read")
	}
	list := p.mechanisms(c, password)
	if len(list) == 0 {
		return wrong("the server does not offer the authentication that is set")
	}
	return p.tryEach(ctx, c, list)
}

// tryEach authenticates by the first mechanism that the server takes: a server
// may offer one that it does not have, or not for this user. If it closes the
// connection after refusing a mechanism, c.retryConnect says that a new
// connection may get further. A refusal of the credentials ends it.
func (p *Provider) tryEach(ctx context.Context, c *conn, list []mechanism) (err error) {
	const stage = email.StageAUTH
	for i, m := range list {
		r, failed := m.exchange(c)
		if errors.Is(failed, errChallenge) {
			return &email.SetupError{Stage: stage, Err: failed}
		}
		if i > 0 && (failed != nil || r.Code == 421) && !errors.Is(failed, errProtocol) && !timedOut(ctx, failed) {
			c.retryConnect = !p.hasRefused(m.name)
			return err
		}
		// The reply's text may repeat what we sent, a secret included.
		r.Message = "authentication refused"
		if err = p.checkReply(ctx, c, stage, r, failed); err == nil || failed != nil || !anotherMechanism(r) {
			return err
		}
		if len(list) > 1 {
			p.refusedMechanisms.Store(m.name, nil)
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

// mechanism is one way to log in (RFC 4954, 4).
type mechanism struct {
	name  string
	first string // initial response; empty for none

	// answer answers challenge n, from 0, in base64 as it came; false means
	// that the mechanism does not know such a challenge.
	answer func(n int, challenge string) (string, bool)
}

var errChallenge = errors.New("the server asks what the authentication does not know")

// exchange sends AUTH and answers challenges until the server has decided.
func (m *mechanism) exchange(c *conn) (email.Reply, error) {
	command, first := "AUTH "+m.name, m.first
	if first != "" && len(command)+1+base64.StdEncoding.EncodedLen(len(first)) <= maxAuthLine {
		command += " " + base64.StdEncoding.EncodeToString([]byte(first))
		first = ""
	}
	r, err := c.command(command)
	for n := range maxChallenges {
		if err != nil || r.Code != 334 {
			return r, err
		}
		response, known := first, true
		if first == "" {
			response, known = m.answer(n, r.Message)
		}
		if !known {
			return email.Reply{}, errChallenge
		}
		r, err = c.command(base64.StdEncoding.EncodeToString([]byte(response)))
		first = ""
	}
	return email.Reply{}, errProtocol
}

// mechanisms chooses among what the server offers, the best first. Those that
// it has refused though it offered them come last: some servers count failures.
func (p *Provider) mechanisms(c *conn, password string) []mechanism {
	order := []string{AuthPlain, AuthLogin, AuthCRAMMD5, AuthXOAUTH2}
	switch {
	case p.opts.Auth != AuthAuto:
		order = []string{p.opts.Auth}
	case !c.secure: // to a loopback host
		order = []string{AuthCRAMMD5, AuthPlain, AuthLogin, AuthXOAUTH2}
	}
	var list, refused []mechanism
	for _, auth := range order {
		switch m := newMechanism(auth, p.opts.Username, password); {
		case !slices.Contains(c.offers.auth, m.name):
		case p.hasRefused(m.name):
			refused = append(refused, m)
		default:
			list = append(list, m)
		}
	}
	return append(list, refused...)
}

func (p *Provider) hasRefused(mechanism string) bool {
	_, refused := p.refusedMechanisms.Load(mechanism)
	return refused
}

func newMechanism(auth, username, password string) mechanism {
	m := mechanism{name: strings.ToUpper(auth)}
	switch auth {
	case AuthPlain: // RFC 4616
		m.first = "\x00" + username + "\x00" + password
		m.answer = func(int, string) (string, bool) { return "", false }
	case AuthLogin: // some servers refuse the user name at once, and no document fixes the prompts' wording
		m.answer = func(n int, _ string) (string, bool) {
			if n > 1 {
				return "", false
			}
			return []string{username, password}[n], true
		}
	case AuthCRAMMD5:
		m.answer = func(_ int, challenge string) (string, bool) { return cramMD5(username, password, challenge), true }
	case AuthXOAUTH2: // Google's and Microsoft's: the password is an access token
		m.first = "user=" + username + "\x01auth=Bearer " + password + "\x01\x01"
		m.answer = func(int, string) (string, bool) { return "", true } // to a report of an error
	}
	return m
}

// cramMD5 answers a challenge of CRAM-MD5 (RFC 2195). One that is not base64 is
// taken as it is: the server will refuse the answer.
func cramMD5(username, password, challenge string) string {
	if b, err := base64.StdEncoding.DecodeString(challenge); err == nil {
		challenge = string(b)
	}
	mac := hmac.New(md5.New, []byte(password))
	mac.Write([]byte(challenge))
	return username + " " + hex.EncodeToString(mac.Sum(nil))
}
