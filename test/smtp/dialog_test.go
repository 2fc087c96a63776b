package smtp_test

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email/smtp"
)

var update = flag.Bool("update", false, "write what came out into the want sections of the dialogs")

// messageID is that of every message here.
const messageID = "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61"

// TestDialogs plays testdata/*.txtar. In a file, each "message" section is
// sent after the other, each "want" section is what must come of it, and each
// "dialog" section is one connection. "options" changes the provider's.
func TestDialogs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogs: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			playFile(t, file)
		})
	}
}

func playFile(t *testing.T, file string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config, roots := certificate(t)
	o := options(section(archive, "options"))
	o.RootCAs = roots
	p, fault := scripted(t, archive, o, config)
	messages, wants := sections(archive, "message"), sections(archive, "want")
	if len(wants) != len(messages) {
		t.Fatalf("%d messages, %d wants", len(messages), len(wants))
	}
	a := email.New(p, request.Limits{}, o.Timeout)
	for i, message := range messages {
		got := outcome(t, a, newRequest(string(message.Data)))
		if *update {
			wants[i].Data = []byte(got)
		}
		if diff := cmp.Diff(string(wants[i].Data), got); diff != "" {
			t.Errorf("message %d: (-want +got)\n%s", i+1, diff)
		}
	}
	p.Close()
	fault()
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// scripted starts a server that plays the archive's dialogs, and a provider on
// it. Calling fault reports what went otherwise than written.
func scripted(t *testing.T, archive *txtar.Archive, o smtp.Options, config *tls.Config) (p *smtp.Provider, fault func()) {
	t.Helper()
	dialogs := sections(archive, "dialog")
	var mu sync.Mutex
	var faults []string
	played := 0
	s := serve(t, func(n int, c net.Conn) {
		err := fmt.Errorf("connection %d is one too many", n+1)
		if n < len(dialogs) {
			err = play(c, lines(dialogs[n]), config)
		}
		mu.Lock()
		defer mu.Unlock()
		played++
		if err != nil {
			faults = append(faults, fmt.Sprintf("dialog %d: %v", n+1, err))
		}
	})
	o.Port = s.port()
	p = newProvider(t, o)
	return p, func() {
		s.rest()
		if played != len(dialogs) {
			t.Errorf("%d connections, want %d", played, len(dialogs))
		}
		for _, f := range faults {
			t.Error(f)
		}
	}
}

// newProvider makes a provider with those options. Close it.
func newProvider(tb testing.TB, o smtp.Options) *smtp.Provider {
	tb.Helper()
	p, err := smtp.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func options(text string) smtp.Options {
	o := smtp.Options{
		Host: "127.0.0.1", TLS: smtp.TLSNone, Auth: smtp.AuthNone, HeloName: "client.example",
		Username: "user", Password: func() (string, error) { return "tanstaaf", nil },
		Connections: 1, Timeout: patience,
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "tls":
			o.TLS = value
		case "auth":
			o.Auth = value
		case "timeout":
			o.Timeout, _ = time.ParseDuration(value)
		case "data_timeout":
			o.DataTimeout, _ = time.ParseDuration(value)
		}
	}
	return o
}

func section(a *txtar.Archive, name string) string {
	for _, f := range sections(a, name) {
		return string(f.Data)
	}
	return ""
}

func sections(a *txtar.Archive, name string) []*txtar.File {
	var list []*txtar.File
	for i := range a.Files {
		if a.Files[i].Name == name {
			list = append(list, &a.Files[i])
		}
	}
	return list
}

func lines(f *txtar.File) []string {
	var list []string
	for line := range strings.Lines(string(f.Data)) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// newRequest makes a request of lines "name: value". What is not said has a
// default.
func newRequest(text string) *models.EmailRequest {
	r := &models.EmailRequest{
		From: "sender@example.com", To: []string{"a@example.com"}, Subject: "Hello",
		Body: models.Body{Type: models.BodyText, Content: "Hello\n"},
	}
	r.MessageID, r.CreatedAt, r.Meta = messageID, time.Date(2025, 10, 16, 9, 31, 15, 0, time.UTC), map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "from":
			r.From = value
		case "to":
			r.To = strings.Fields(value)
		case "cc":
			r.CC = strings.Fields(value)
		case "bcc":
			r.BCC = strings.Fields(value)
		case "subject":
			r.Subject = value
		case "body":
			r.Body.Content = value
		}
	}
	return r
}

// outcome sends a request and tells what came of it, a line for each thing.
func outcome(t *testing.T, a *email.Adapter, r *models.EmailRequest) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	d := a.Delivery(r)
	resp, err := d.Send(ctx, common.Call{Attempt: 1, Recipients: d.Units[0]})
	return tell(resp, err)
}

func tell(resp models.ProviderResponse, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %s\n", resp.Status, resp.Code, resp.Message)
	for _, key := range slices.Sorted(maps.Keys(resp.Meta)) {
		fmt.Fprintf(&b, "%s: %s\n", key, resp.Meta[key])
	}
	f := common.Classify(err)
	if f == nil {
		return b.String()
	}
	fmt.Fprintf(&b, "%s\n", f)
	for mark, set := range map[string]bool{"unreachable": f.Unreachable && !f.Ambiguous, "ambiguous": f.Ambiguous && !f.Unreachable, "unreachable, ambiguous": f.Unreachable && f.Ambiguous} {
		if set {
			fmt.Fprintln(&b, mark)
		}
	}
	if f.Accepted {
		fmt.Fprintln(&b, "taken for accepted")
	}
	if f.Refused != nil || f.Open != nil {
		fmt.Fprintf(&b, "refused %v open %v\n", f.Refused, f.Open)
	}
	if f.Doubtful != nil {
		fmt.Fprintf(&b, "doubtful %v\n", f.Doubtful)
	}
	return b.String()
}
