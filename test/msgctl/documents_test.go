package msgctl_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// notRunHere are the documents' commands that are not run here, each with where
// it is tried.
var notRunHere = []struct{ begins, where string }{
	{"make ", "by developers; cmd/msgctl/testdata/dev.txtar"},
	{"git clone ", "by users"},
	{"cd ", "by users"},
	{"go run ./cmd/msgctl --brokers", "this package: TestSend"},
	{"go run ./cmd/msgctl dev", "cmd/msgctl/testdata/dev.txtar"},
	{"go run ./cmd/msgctl fake-provider", "cmd/msgctl/testdata; test/e2e: TestHTTPProviders"},
	{"docker ", "test/deploy, as far as that can be without Docker"},
	{"kubectl ", "test/deploy, as far as that can be without a cluster"},
	{"kafka-consumer-groups.sh ", "by operators"},
	{"curl ", "test/e2e"},
	{"KAFKA_TEST_BROKERS=", "by developers"},
	{"EMAIL_PROVIDER=smtp ", "internal/app: TestEmailGoesFromKafkaToSMTP"},
	{"SMS_PROVIDER=twilio ", "cmd/msgctl/testdata; test/e2e: TestHTTPProviders"},
	{"WHATSAPP_PROVIDER=", "cmd/msgctl/testdata; test/e2e: TestHTTPProviders"},
}

// exits returns the code with which a command of the documents ends.
func exits(line string) int {
	switch {
	case strings.Contains(line, " follow"):
		return 130 // interrupted
	case strings.HasPrefix(line, "bin/msgctl status show "), strings.HasPrefix(line, "bin/msgctl dlq show "):
		return 1 // there is no such message
	}
	return 0
}

// The commands of the documents, in their order, in a folder like a checkout's:
// each ends as it should. What is new there is run too, or needs a row above.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	dir := folderLikeACheckout(t)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "KAFKA_BROKERS=" + strings.Join(s.Brokers, ","),
		"KAFKA_TOPIC_REPLICATION=1", "KAFKA_TOPIC_MIN_ISR=1", // .env is made for three brokers
		"KAFKA_TEMP_TOPIC=" + s.Name + ".check", "KAFKA_CONTROL_TOPIC=" + s.Name + ".control",
	}
	// Topics of its own: those of .env are the defaults, and the tests beside
	// this one look in every default topic that exists.
	for _, channel := range models.Channels() {
		upper, name := strings.ToUpper(string(channel)), s.Name+"."+string(channel)
		env = append(
			env, upper+"_APP_PORT=0", upper+"_CONSUMER_GROUP="+name, "KAFKA_"+upper+"_REQUEST_TOPIC="+name+".request",
			"KAFKA_"+upper+"_REQUEST_TOPIC_HIGH="+name+".request.high",
			"KAFKA_"+upper+"_STATUS_TOPIC="+name+".status", "KAFKA_"+upper+"_DLQ_TOPIC="+name+".dlq",
		)
	}
	ran := 0
	for _, line := range documentedCommands(t) {
		if slices.ContainsFunc(notRunHere, func(e struct{ begins, where string }) bool { return strings.HasPrefix(line, e.begins) }) {
			continue
		}
		ran++
		command := line
		switch {
		case strings.HasPrefix(line, "bin/") && strings.HasSuffix(line, "-worker"):
			worker := exec.CommandContext(t.Context(), filepath.Join(dir, line))
			worker.Dir, worker.Env = dir, env
			if err := worker.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = worker.Process.Kill(); _ = worker.Wait() })
			continue
		case exits(line) == 130:
			command = "timeout -s INT 5 " + line + `; code=$?; [ $code = 124 ] && exit 130; exit $code`
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
		cmd.Dir, cmd.Env = dir, env
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != exits(line) {
			t.Errorf("%s exits %d, want %d:\n%s", line, cmd.ProcessState.ExitCode(), exits(line), out)
		}
	}
	if ran == 0 {
		t.Error("no command of the documents was run")
	}
}

// folderLikeACheckout makes a folder with what those commands need of
// a checkout after make build. The scripts are copies: a link would lead them
// out of the folder to a checkout that is not built, and they would build it.
func folderLikeACheckout(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "scripts"), os.DirFS(scriptsDir())); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"bin": stage.Suite.Bin, ".env.example": filepath.Join(root, ".env.example"),
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	request := string(stage.Request(models.Email, stage.NewID(), nil))
	if err := os.WriteFile(filepath.Join(dir, "requests.jsonl"), []byte(request+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// documentedCommands returns the lines of the documents' bash blocks without
// their comments, those of the README first.
func documentedCommands(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, file := range append([]string{"../../README.md", "../../CONTRIBUTING.md"}, files...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		inside := false
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "```"):
				inside = line == "```bash"
			case inside && line != "":
				command, _, _ := strings.Cut(line, " #")
				list = append(list, strings.TrimSpace(command))
			}
		}
	}
	return list
}
