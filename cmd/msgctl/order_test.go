package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"

	"messaging-worker/internal/models"
	testkafka "messaging-worker/test/kafka"
)

// Every wrong command line ends before anything is asked of Kafka: there is none
// here.
func TestWrongOrders(t *testing.T) {
	t.Parallel()
	const id = "49787c3d-5ef1-4b31-88a1-0a42e53e1fb3"
	tests := []struct{ args, says string }{
		{"pause --for 1h --reason r", "--channel is required"},
		{"pause --channel fax --for 1h --reason r", "want one of email"},
		{"pause --channel sms --reason r", "--for is required"},
		{"pause --channel sms --for 1h", "--reason is required"},
		{"pause --channel sms --for 1h --reason=", "is empty"},
		{"pause --channel sms --for 1h --reason=_", "is empty"},
		{"pause --channel sms --for 1h --reason \xff", "UTF-8"},
		{"pause --channel sms --for 1h --reason r x", "unknown command"},
		{"pause --channel sms --for 0 --reason r", "above 0"},
		{"pause --channel sms --for 0d --reason r", "above 0"},
		{"pause --channel sms --for=-1h --reason r", "above 0"},
		{"pause --channel sms --for 31d --reason r", "at most 30d"},
		{"pause --channel sms --for 720h1ns --reason r", "at most 30d"},
		{"pause --channel sms --for 9999999999999999999d --reason r", "no duration"},
		{"pause --channel sms --for 5 --reason r", "no duration"},
		{"pause --channel sms --for 1.5d --reason r", "no duration"},
		{"pause --channel sms --for soon --reason r", "no duration"},
		{"pause --channel sms --lane low --for 1h --reason r", "want one of high"},
		{"pause --channel sms --lane= --for 1h --reason r", "is empty"},
		{"pause --channel sms --tenant= --for 1h --reason r", "is empty"},
		{"pause --channel sms --tenant a --tenant b --for 1h --reason r", "given twice"},
		{"pause --channel sms --tenant a --provider mock --for 1h --reason r", "at most one"},
		{"pause --channel sms --tenant a --meta k=v --for 1h --reason r", "at most one"},
		{"pause --channel sms --provider mock --meta k=v --for 1h --reason r", "at most one"},
		{"pause --channel sms --provider smtp --for 1h --reason r", "sms has mock, twilio"},
		{"pause --channel sms --meta k --for 1h --reason r", "KEY=VALUE"},
		{"pause --channel sms --meta =v --for 1h --reason r", "KEY=VALUE"},
		{"pause --channel sms --meta k=v --meta l=w --for 1h --reason r", "given twice"},
		{"pause --channel sms --for 1h --reason r --by=", "is empty"},
		{"pause " + id + " --for 1h --reason r", "unknown command"},
		{"rate --per-second 1 --for 1h --reason r", "--channel is required"},
		{"rate --channel sms --for 1h --reason r", "--per-second"},
		{"rate --channel sms --per-second 0 --for 1h --reason r", "--per-second"},
		{"rate --channel sms --per-second=-1 --for 1h --reason r", "--per-second"},
		{"rate --channel sms --per-second NaN --for 1h --reason r", "--per-second"},
		{"rate --channel sms --per-second Inf --for 1h --reason r", "--per-second"},
		{"rate --channel sms --per-second many --for 1h --reason r", "--per-second"},
		{"rate --channel sms --per-second 1 --reason r", "--for is required"},
		{"rate --channel sms --per-second 1 --for 1h", "--reason is required"},
		{"rate --channel sms --per-second 1 --for 1h --reason r --tenant a", "unknown flag"},
		{"rate --channel sms --per-second 1 --for 1h --reason r --lane bulk", "unknown flag"},
		{"cancel --reason r", "--channel is required"},
		{"cancel --channel sms --reason r", "--for is required"},
		{"cancel --channel sms --for 1h", "--reason is required"},
		{"cancel --channel sms --for 1h --reason r --provider mock", "unknown flag"},
		{"cancel --channel sms --for 1h --reason r --tenant a --meta k=v", "at most one"},
		{"cancel " + id, "--reason is required"},
		{"cancel " + id + " --reason r --channel sms", "stands alone"},
		{"cancel " + id + " --reason r --tenant a", "stands alone"},
		{"cancel " + id + " --reason r --lane bulk", "stands alone"},
		{"cancel " + id + " --reason r --for 31d", "at most 30d"},
		{"cancel " + strings.ToUpper(id) + " --reason r", "lower case"},
		{"cancel requests/0/7 --reason r", "UUID of version 4"},
		{"cancel _ --reason r --channel sms --for 1h", "is empty"},
		{"cancel " + id + " " + id + " --reason r", "at most 1"},
		{"resume", "--channel is required"},
		{"resume --rate", "--channel is required"},
		{"resume --channel sms --rate --cancel", "do not go together"},
		{"resume --channel sms --rate --lane bulk", "a rate is of"},
		{"resume --channel sms --cancel --provider mock", "no provider"},
		{"resume --channel sms --tenant a --meta k=v", "at most one"},
		{"resume " + id, "add --cancel"},
		{"resume --cancel " + id + " --channel sms", "stands alone"},
		{"resume --cancel 7", "UUID of version 4"},
		{"resume --all --tenant a", "--all goes"},
		{"resume --all --channel sms --lane bulk", "--all goes"},
		{"resume --all --cancel", "--all goes"},
		{"resume --all " + id, "--all goes"},
		{"resume --all --channel=", "is empty"},
		{"control list x", "unknown command"},
		{"control history --since yesterday", "--since"},
	}
	for _, tt := range tests {
		args := strings.Fields(tt.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ") // a blank argument
		}
		cmd := root()
		cmd.SetArgs(append(args, "--brokers", "127.0.0.1:1"))
		err := cmd.ExecuteContext(t.Context())
		if code := exitCode(err, false); code != exitUsage || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("msgctl %q exits %d with %v, want %d and %q", tt.args, code, err, exitUsage, tt.says)
		}
	}
}

// Whoever has not set the control topic's name is told which workers obey.
func TestOrdersOfATopicThatNobodyNamed(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(1, "messages.control"))
	var out, complaints strings.Builder
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&complaints)
	cmd.SetArgs([]string{"pause", "--channel", "sms", "--for", "1h", "--reason", "r", "--brokers", strings.Join(cluster.ListenAddrs(), ",")})
	err := cmd.ExecuteContext(t.Context())
	if err != nil || !strings.HasPrefix(out.String(), "in force: pause of sms until ") || !strings.Contains(complaints.String(), "only workers for which it is messages.control obey") {
		t.Errorf("pause: %v: %s%s", err, out.String(), complaints.String())
	}
}

// What msgctl says lifts an order is what lifts it, also in a shell.
func TestResumeArguments(t *testing.T) {
	t.Parallel()
	for _, o := range []models.Order{
		{Action: models.ActionPause, Channel: models.SMS},
		{Action: models.ActionPause, Channel: models.SMS, Lane: models.LaneBulk, Tenant: "it's $HOME; a*"},
		{Action: models.ActionPause, Channel: models.Email, Provider: "smtp"},
		{Action: models.ActionPause, Channel: models.Email, Meta: map[string]string{"campaign": "spring=2026 \"x\""}},
		{Action: models.ActionPause, Channel: models.Email, Meta: map[string]string{"a": ""}},
		{Action: models.ActionRate, Channel: models.WhatsApp, Provider: "meta"},
		{Action: models.ActionCancel, Channel: models.SMS, Tenant: "-acme"},
		{Action: models.ActionCancel, MessageID: "49787c3d-5ef1-4b31-88a1-0a42e53e1fb3"},
	} {
		words, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\0' `+scopeArgs(&o)).Output()
		if err != nil {
			t.Fatal(err)
		}
		f, cmd := &resumeFlags{}, &cobra.Command{}
		f.bind(cmd)
		err = cmd.ParseFlags(strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00"))
		if err == nil {
			err = f.message(cmd.Flags().Args())
		}
		if err != nil {
			t.Errorf("resume %s: %v", scopeArgs(&o), err)
			continue
		}
		if got, err := f.order(); err != nil || got.Key() != o.Key() {
			t.Errorf("resume %s is about %+v, %v, want %s", scopeArgs(&o), got, err, o.Key())
		}
	}
}
