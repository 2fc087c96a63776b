package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/app"
	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka/embedded"
)

// emailSettings are those of an email worker that delivers by SMTP.
func emailSettings(edits map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		if value, ok := edits[name]; ok {
			return value, value != ""
		}
		value, ok := map[string]string{
			"KAFKA_BROKERS": "127.0.0.1:1", "APP_HOST": "127.0.0.1", "APP_PORT": "0", "LOG_LEVEL": "error",
			"KAFKA_EMAIL_REQUEST_TOPIC": "request", "KAFKA_EMAIL_STATUS_TOPIC": "status", "KAFKA_EMAIL_DLQ_TOPIC": "dlq",
			"EMAIL_CONSUMER_GROUP": "group", "EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_AUTH": "none", "SMTP_TLS": "none",
		}[name]
		return value, ok
	}
}

// takeMails serves one connection after the other, step by step, and gives the
// messages.
func takeMails(t *testing.T) (port string, mails <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	list := make(chan string, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			takeMail(c, list)
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, list
}

func takeMail(c net.Conn, mails chan<- string) {
	defer c.Close()
	in := bufio.NewReader(c)
	io.WriteString(c, "220 test\r\n")
	for {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return
		case line != "DATA\r\n":
			io.WriteString(c, "250 ok\r\n")
			continue
		}
		io.WriteString(c, "354 go on\r\n")
		var text strings.Builder
		for line != ".\r\n" && err == nil {
			line, err = in.ReadString('\n')
			text.WriteString(line)
		}
		io.WriteString(c, "250 2.0.0 Ok: queued as 4F2A1B\r\n")
		mails <- text.String()
	}
}

// TestEmailGoesFromKafkaToSMTP sends one request through a whole worker.
func TestEmailGoesFromKafkaToSMTP(t *testing.T) {
	t.Parallel()
	broker, err := embedded.Start(0, "", []string{"request", "status", "dlq"})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	port, mails := takeMails(t)
	c, err := config.Load(emailSettings(map[string]string{"KAFKA_BROKERS": strings.Join(broker.ListenAddrs(), ","), "SMTP_PORT": port}), "email")
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()

	client, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.ConsumeTopics("status"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const request = `{"message_id":"1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61","channel":"email","created_at":"2025-10-16T09:31:15Z",
		"from":"noreply@example.com","to":["user@example.com"],"subject":"Grüße","body":{"content":"Hello"},
		"meta":{"email.reply_to":"help@example.com"}}`
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "request", Value: []byte(request)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	waiting, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var last string
	for !strings.Contains(last, `"sent"`) {
		fetches := client.PollFetches(waiting)
		if waiting.Err() != nil {
			t.Fatalf("no sent event, the last one is %s", last)
		}
		fetches.EachRecord(func(r *kgo.Record) { last = string(r.Value) })
	}
	if !strings.Contains(last, `"queue_id":"4F2A1B"`) {
		t.Errorf("sent event without the queue id: %s", last)
	}
	mail := <-mails
	for _, want := range []string{
		"From: <noreply@example.com>\r\n", "To: <user@example.com>\r\n", "Reply-To: <help@example.com>\r\n", "Date: Thu, 16 Oct 2025 09:31:15 +0000\r\n",
		"Message-ID: <1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61@example.com>\r\n", "\r\n\r\nHello\r\n.\r\n",
	} {
		if !strings.Contains(mail, want) {
			t.Errorf("no %q in\n%s", want, mail)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestBadSMTPFilesAreNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bad.pem")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		edits map[string]string
		want  string
	}{
		{map[string]string{"SMTP_TLS_CA_FILE": file}, "SMTP_TLS_CA_FILE"},
		{map[string]string{"SMTP_DKIM_KEY_FILE": file, "SMTP_DKIM_DOMAIN": "example.com", "SMTP_DKIM_SELECTOR": "mail"}, "SMTP_DKIM_KEY_FILE"},
		{map[string]string{"SMTP_HELO_NAME": "a b"}, "SMTP_HELO_NAME"},
	}
	for _, tt := range tests {
		c, err := config.Load(emailSettings(tt.edits), "email")
		if err == nil {
			_, err = app.New(t.Context(), c, zerolog.Nop())
		}
		if err == nil || !strings.HasPrefix(fmt.Sprint(err), tt.want+": ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("New with a bad %s: %v", tt.want, err)
		}
	}
}
