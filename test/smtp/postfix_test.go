package smtp_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
)

// mailServer is a Postfix of our own: its configuration, queue and mailboxes are
// under one temporary folder. It requires STARTTLS, knows the mailboxes that
// it was made with, takes three recipients a transaction, grants a client two
// connections, and wants a fully qualified name in EHLO.
type mailServer struct {
	dir  string
	port int
	ca   *x509.CertPool
	o    string // an option of smtpd
}

const mainCF = `compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/postfix.log
maillog_file_prefixes = DIR
myhostname = relay.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtputf8_enable = yes
smtpd_tls_cert_file = DIR/etc/tls.pem
smtpd_tls_key_file = DIR/etc/tls.pem
smtpd_tls_security_level = encrypt
smtpd_client_connection_count_limit = 2
smtpd_client_event_limit_exceptions =
smtpd_recipient_limit = 3
smtpd_recipient_overshoot_limit = 1000
virtual_mailbox_domains = example.com, xn--bcher-kva.example
virtual_mailbox_base = DIR/mail
virtual_mailbox_maps = inline:{ MAILBOXES }
virtual_minimum_uid = 1
virtual_uid_maps = static:NOBODY
virtual_gid_maps = static:NOBODY
notify_classes =
smtpd_helo_required = yes
smtpd_helo_restrictions = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname
`

const masterCF = `127.0.0.1:PORT inet n - n - - smtpd OPTION
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`

func startPostfix(t *testing.T, mailboxes ...string) *mailServer {
	t.Helper()
	return startPostfixWith(t, "", mailboxes...)
}

// startPostfixWith starts one whose smtpd has an option. A mailbox without a
// domain is of example.com.
func startPostfixWith(t *testing.T, option string, mailboxes ...string) *mailServer {
	t.Helper()
	postfix, err := exec.LookPath("postfix")
	if err != nil {
		t.Skip("Postfix is not installed: nothing is tried against a real server")
	}
	if os.Geteuid() != 0 {
		t.Skip("Postfix needs root: nothing is tried against a real server")
	}
	dir, err := os.MkdirTemp("", "relay") //nolint:usetesting // Postfix's users cannot get into t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &mailServer{dir: dir, o: option}
	r.write(t, mailboxes)
	r.start(t, postfix)
	t.Cleanup(func() {
		if out, err := exec.Command(postfix, "-c", dir+"/etc", "stop").CombinedOutput(); err != nil {
			t.Errorf("stop Postfix: %v\n%s", err, out)
		}
		if t.Failed() {
			log, _ := os.ReadFile(dir + "/postfix.log")
			t.Logf("%s", log)
		}
	})
	return r
}

// start gives Postfix a port. It answers once it listens there, or ends where
// another took the port meanwhile.
func (r *mailServer) start(t *testing.T, postfix string) {
	t.Helper()
	var out []byte
	for range tries {
		r.port = freePort(t)
		master := strings.NewReplacer("PORT", strconv.Itoa(r.port), "OPTION", r.o).Replace(masterCF)
		err := os.WriteFile(r.dir+"/etc/master.cf", []byte(master), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if out, err = exec.CommandContext(t.Context(), postfix, "-c", r.dir+"/etc", "start").CombinedOutput(); err == nil {
			return
		}
		t.Logf("start Postfix: %v\n%s", err, out)
	}
	log, _ := os.ReadFile(r.dir + "/postfix.log")
	t.Fatalf("Postfix did not start, %d times\n%s", tries, log)
}

func (r *mailServer) write(t *testing.T, mailboxes []string) {
	t.Helper()
	var known strings.Builder
	for _, m := range mailboxes {
		local, domain, foreign := strings.Cut(m, "@")
		if !foreign {
			domain = "example.com"
		}
		fmt.Fprintf(&known, "{ %s@%s = %s/ } ", local, domain, local)
	}
	nobody := owner(t, "nobody")
	config, pool := certificate(t)
	r.ca = pool
	key, err := x509.MarshalPKCS8PrivateKey(config.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	identity := append(
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]})...,
	)
	fill := strings.NewReplacer("DIR", r.dir, "MAILBOXES", known.String(), "NOBODY", strconv.Itoa(nobody))
	err = os.Chmod(r.dir, 0o755)
	for _, folder := range []string{"etc", "queue", "data", "mail"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(r.dir, folder), 0o755)
		}
	}
	for name, text := range map[string]string{"main.cf": fill.Replace(mainCF), "tls.pem": string(identity)} {
		if err == nil {
			err = os.WriteFile(filepath.Join(r.dir, "etc", name), []byte(text), 0o600)
		}
	}
	if err == nil {
		err = os.Chown(r.dir+"/data", owner(t, "postfix"), -1)
	}
	if err == nil {
		err = os.Chown(r.dir+"/mail", nobody, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func owner(t *testing.T, name string) int {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := kafka.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (r *mailServer) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * patience); !done(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in %v", what, 3*patience)
		}
	}
}

// adapter is the channel on this server.
func (r *mailServer) adapter(t *testing.T) *email.Adapter {
	t.Helper()
	o := options("tls=starttls")
	o.Port, o.RootCAs = r.port, r.ca
	p := newProvider(t, o)
	t.Cleanup(func() { p.Close() })
	return email.New(p, request.Limits{}, o.Timeout)
}

// idle waits until the queue is empty: all that is delivered is delivered.
func (r *mailServer) idle(t *testing.T) {
	t.Helper()
	r.until(t, "empty queue", func() bool {
		for _, queue := range []string{"maildrop", "incoming", "active", "deferred"} {
			if files, _ := filepath.Glob(filepath.Join(r.dir, "queue", queue, "*")); len(files) > 0 {
				return false
			}
		}
		return true
	})
}

// mails returns what lies in a mailbox.
func (r *mailServer) mails(t *testing.T, mailbox string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "mail", mailbox, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	return list
}

func TestMailArrivesThroughPostfix(t *testing.T) {
	t.Parallel()
	r := startPostfix(t, "a", "b", "hidden")
	a := r.adapter(t)
	bodies := map[string]string{
		"long lines":   strings.Repeat("x", 5000) + "\n" + strings.Repeat("Grüße ", 400) + "\n",
		"leading dots": ".\n..\n...\n.leading\nFrom here\n \n\n",
		"html":         "<html><body><p style=\"color:red\">Grüße, 世界</p>\n</body></html>\n",
		"unicode":      strings.Repeat("こんにちは世界 🎉\n", 100),
	}
	const subject = "Grüße, 世界 🎉 and a subject that is long enough to be folded more than once"
	n := 0
	for name, body := range bodies {
		req := newRequest("to: a@example.com\ncc: b@example.com\nbcc: hidden@example.com")
		req.MessageID = fmt.Sprintf("1e8f3b1b-4d0d-4bd3-9c86-%012d", n)
		req.Subject, req.Body.Content = subject, body
		if name == "html" {
			req.Body.Type = models.BodyHTML
		}
		resp, err := a.Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0, 1, 2}})
		if err != nil || resp.Meta["queue_id"] == "" {
			t.Fatalf("%s: %+v, %v", name, resp, err)
		}
		n++
	}
	r.idle(t)
	for _, mailbox := range []string{"a", "b", "hidden"} {
		mails := r.mails(t, mailbox)
		if len(mails) != n {
			t.Errorf("%s has %d mails, want %d", mailbox, len(mails), n)
		}
		got := map[string]bool{}
		for _, text := range mails {
			header, body := readMail(t, text)
			if s, err := (&mime.WordDecoder{}).DecodeHeader(header.Get("Subject")); err != nil || s != subject {
				t.Errorf("subject %q, %v", s, err)
			}
			if strings.Contains(string(text), "hidden@example.com") && mailbox != "hidden" {
				t.Errorf("%s is told who else has the mail:\n%s", mailbox, text)
			}
			if header.Get("To") != "<a@example.com>" || header.Get("Cc") != "<b@example.com>" || header.Get("Bcc") != "" {
				t.Errorf("To %q, Cc %q, Bcc %q", header.Get("To"), header.Get("Cc"), header.Get("Bcc"))
			}
			got[body] = true
		}
		for name, body := range bodies {
			if !got[body] {
				t.Errorf("%s has no mail with the body of %q", mailbox, name)
			}
		}
	}
}

// readMail takes apart what was delivered, with LF at the end of each line.
func readMail(t *testing.T, text []byte) (mail.Header, string) {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var body io.Reader = quotedprintable.NewReader(msg.Body)
	if msg.Header.Get("Content-Transfer-Encoding") == "base64" {
		body = base64.NewDecoder(base64.StdEncoding, msg.Body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return msg.Header, strings.ReplaceAll(string(content), "\r\n", "\n")
}

func TestPostfixRefusesOneOfThree(t *testing.T) {
	t.Parallel()
	r := startPostfix(t, "a", "b")
	a := r.adapter(t)
	req := newRequest("to: a@example.com unknown@example.com b@example.com")
	resp, err := a.Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0, 1, 2}})
	f := common.Classify(err)
	if f == nil || f.Class != models.FailurePermanent || len(f.Refused) != 1 || f.Refused[0] != 1 || resp.Status != models.StatusPartial || !strings.HasPrefix(resp.Meta["refused.1"], "smtp 550 5.1.1") {
		t.Errorf("%+v, %+v, want number 1 refused", resp, f)
	}
	r.idle(t)
	for _, mailbox := range []string{"a", "b"} {
		if n := len(r.mails(t, mailbox)); n != 1 {
			t.Errorf("%s has %d mails, want 1", mailbox, n)
		}
	}
}

// Postfix with the usual restrictions takes what we call ourselves by default,
// and refuses the name of a container for us and not for the message.
func TestPostfixOnOurName(t *testing.T) {
	t.Parallel()
	r := startPostfix(t, "a")
	for name, refused := range map[string]bool{"": false, "[127.0.0.1]": false, "mail.example.com": false, "f3a2b1c0d9e8": true} {
		o := options("tls=starttls")
		o.Port, o.RootCAs, o.HeloName = r.port, r.ca, name
		p := newProvider(t, o)
		_, err := email.New(p, request.Limits{}, o.Timeout).Delivery(newRequest("to: a@example.com")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
		p.Close()
		if f := common.Classify(err); (f != nil) != refused || refused && (f.Class != models.FailureTransient || !f.Unreachable) {
			t.Errorf("EHLO %q: %v", name, err)
		}
	}
	r.idle(t)
}

func TestPostfixTakesFewRecipientsAtOnce(t *testing.T) {
	t.Parallel()
	names := []string{"r0", "r1", "r2", "r3", "r4", "r5", "r6"}
	r := startPostfix(t, names...)
	a := r.adapter(t)
	req := newRequest("to: " + strings.Join(names, "@example.com ") + "@example.com")
	resp, err := a.Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: a.Delivery(req).Units[0]})
	if err != nil || strings.Count(resp.Meta["queue_id"], ",") != 2 {
		t.Errorf("%+v, %v, want three transactions", resp, err)
	}
	r.idle(t)
	for _, name := range names {
		if n := len(r.mails(t, name)); n != 1 {
			t.Errorf("%s has %d mails, want 1", name, n)
		}
	}
}

func TestPostfixGrantsFewConnections(t *testing.T) {
	t.Parallel()
	const messages = 100
	r := startPostfix(t, "a")
	o := options("tls=starttls")
	o.Port, o.RootCAs, o.Connections, o.Messages = r.port, r.ca, 20, 10
	g := newGated(t, o)
	g.mail = mailOf(newRequest("to: a@example.com"))
	g.sendMany(t, messages)
	if limit, _ := g.Connections(); limit > 3 {
		t.Errorf("limit %d, want about 2", limit)
	}
	r.idle(t)
	if n := len(r.mails(t, "a")); n != messages {
		t.Errorf("%d mails, want %d, each once", n, messages)
	}
}

func TestPostfixTakesSMTPUTF8(t *testing.T) {
	t.Parallel()
	r := startPostfix(t, "jürgen")
	a := r.adapter(t)
	if resp, err := a.Delivery(newRequest("to: jürgen@example.com")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}}); err != nil {
		t.Fatalf("%+v, %v", resp, err)
	}
	r.idle(t)
	mails := r.mails(t, "jürgen")
	if len(mails) != 1 || !bytes.Contains(mails[0], []byte("To: <jürgen@example.com>")) {
		t.Errorf("%q", mails)
	}
}

// TestPostfixWithoutSMTPUTF8 does not announce the extension: an international
// domain is reached in its ASCII form, and only who needs the extension is
// refused.
func TestPostfixWithoutSMTPUTF8(t *testing.T) {
	t.Parallel()
	r := startPostfixWith(t, "-o smtputf8_enable=no", "anna", "bert@xn--bcher-kva.example")
	a := r.adapter(t)
	req := newRequest("from: sender@exämple.com\nto: anna@example.com jürgen@example.com bert@bücher.example\nsubject: Grüße")
	_, err := a.Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0, 1, 2}})
	if f := common.Classify(err); f == nil || !slices.Equal(f.Refused, []int{1}) || len(f.Open) > 0 {
		t.Fatalf("%v, want number 1 refused", err)
	}
	r.idle(t)
	for _, name := range []string{"anna", "bert"} {
		mails := r.mails(t, name)
		if len(mails) != 1 || !bytes.Contains(mails[0], []byte("To: <anna@example.com>,\n =?utf-8?b?asO8cmdlbkBleGFtcGxlLmNvbQ==?= :;,\n <bert@xn--bcher-kva.example>\n")) {
			t.Errorf("%s: %q", name, mails)
		}
	}
}
