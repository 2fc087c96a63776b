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

// Where commands of the documents are run that this test cannot run.
const (
	asUsers  = "by users: it is how this test was started"
	byDev    = "cmd/msgctl/testdata/dev.txtar"
	byFakes  = "cmd/msgctl/testdata, test/e2e: TestHTTPProviders"
	byDeploy = "test/deploy, as far as that can be without Docker"
	byRelay  = "internal/app: TestEmailGoesFromKafkaToSMTP"
)

// notHere lists the documents' commands that are not run here.
var notHere = map[string]string{
	"make run":   byDev,
	"make test":  asUsers,
	"make build": asUsers,
	`go run ./cmd/msgctl --brokers localhost:19092 send sms --from +15551234567 --to +15557654321 --body "Your code is 123456" --wait`: "this package: TestSend",

	"docker compose up -d kafka-1 kafka-2 kafka-3":                      byDeploy,
	"docker compose run --rm kafka-init":                                byDeploy,
	"docker compose up -d kafka-ui":                                     byDeploy,
	"docker compose up --build email-worker sms-worker whatsapp-worker": byDeploy,

	"EMAIL_PROVIDER=smtp SMTP_HOST=smtp.example.com SMTP_USERNAME=mailer SMTP_PASSWORD_FILE=/run/secrets/smtp bin/email-worker": byRelay,
	"SMS_PROVIDER=twilio TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN_FILE=/run/secrets/twilio bin/sms-worker":                      byFakes,
	"WHATSAPP_PROVIDER=meta META_PHONE_NUMBER_ID=1055… META_ACCESS_TOKEN_FILE=/run/secrets/meta bin/whatsapp-worker":            byFakes,
	"go run ./cmd/msgctl fake-provider twilio":                           byFakes,
	"go run ./cmd/msgctl fake-provider meta --fault throttle --every 10": byFakes,
}

// The commands of README.md and docs/providers.md, in their order, in a folder
// like a checkout's: each ends as it should. A new one is run too, or has to be
// named above.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	dir := folderLikeACheckout(t)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "KAFKA_BROKERS=" + strings.Join(s.Brokers, ","),
		"KAFKA_TOPIC_REPLICATION=1", "KAFKA_TOPIC_MIN_ISR=1", // .env is made for three brokers
		"KAFKA_TEMP_TOPIC=" + s.Name + ".check",
	}
	// Topics of its own: those of .env are the defaults, and the tests beside
	// this one look in every default topic that exists.
	for _, channel := range models.Channels() {
		upper, name := strings.ToUpper(string(channel)), s.Name+"."+string(channel)
		env = append(
			env, upper+"_APP_PORT=0", upper+"_CONSUMER_GROUP="+name, "KAFKA_"+upper+"_REQUEST_TOPIC="+name+".request",
			"KAFKA_"+upper+"_STATUS_TOPIC="+name+".status", "KAFKA_"+upper+"_DLQ_TOPIC="+name+".dlq",
		)
	}
	codes := map[string]int{ // of those that do not end with 0
		"bin/msgctl status show 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3": 1, // there is no such message
		"bin/msgctl dlq show 49787c3d-5ef1-4b31-88a1-0a42e53e1fb3":    1,
		"bin/msgctl status follow --channel sms":                      130,
	}
	commands := slices.Concat(commandsOf(t, "README.md"), commandsOf(t, "docs/providers.md"))
	for _, line := range commands {
		if _, told := notHere[line]; told {
			continue
		}
		command := line
		switch {
		case line == "bin/sms-worker":
			worker := exec.CommandContext(t.Context(), filepath.Join(dir, line))
			worker.Dir, worker.Env = dir, env
			if err := worker.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = worker.Process.Kill(); _ = worker.Wait() })
			continue
		case strings.Contains(line, "follow"):
			command = "timeout -s INT 5 " + line + `; code=$?; [ $code = 124 ] && exit 130; exit $code`
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
		cmd.Dir, cmd.Env = dir, env
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != codes[line] {
			t.Errorf("%s exits %d, want %d:\n%s", line, cmd.ProcessState.ExitCode(), codes[line], out)
		}
	}
	for line := range notHere {
		if !slices.Contains(commands, line) {
			t.Errorf("no document has the command %q any more", line)
		}
	}
}

// folderLikeACheckout makes a folder with what the README's commands need of
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

// commandsOf returns the lines of a document's bash blocks without their
// comments.
func commandsOf(t *testing.T, document string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", document))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
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
	return list
}
