// Package config_test checks the settings from outside, as a worker reads
// them.
package config_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/joho/godotenv"

	"messaging-worker/internal/config"
)

// account is a SID as Twilio's are.
const account = "AC00000000000000000000000000000001"

// required are the settings without which no sms worker starts.
func required() map[string]string {
	return map[string]string{
		"KAFKA_BROKERS":           "localhost:9092",
		"KAFKA_SMS_REQUEST_TOPIC": "messages.sms.request",
		"KAFKA_SMS_STATUS_TOPIC":  "messages.sms.status",
		"KAFKA_SMS_DLQ_TOPIC":     "messages.sms.dlq",
		"SMS_CONSUMER_GROUP":      "sms-workers",
	}
}

func lookup(env map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func load(t *testing.T, channel string, extra map[string]string) (*config.Config, []string) {
	t.Helper()
	env := required()
	maps.Copy(env, extra)
	c, err := config.Load(lookup(env), channel)
	if err == nil {
		return c, nil
	}
	e, ok := errors.AsType[*config.Error](err)
	if !ok {
		t.Fatalf("Load error is a %T, want *config.Error", err)
	}
	return nil, e.Problems
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, problems := load(t, "sms", nil)
	if problems != nil {
		t.Fatal(problems)
	}
	tests := []struct {
		name      string
		got, want any
	}{
		{"APP_ENV", c.Env, "development"},
		{"APP_PORT", c.Port, 8080},
		{"MAX_ATTEMPTS", c.Worker.MaxAttempts, 3},
		{"BASE_BACKOFF_SECONDS", c.Worker.BaseBackoff, 10 * time.Second},
		{"MAX_BACKOFF_SECONDS", c.Worker.MaxBackoff, 2 * time.Minute},
		{"WORKER_CONCURRENCY", c.Worker.Concurrency, 10},
		{"MAX_PENDING_MESSAGES", c.Worker.MaxPendingMessages, 10000},
		{"MAX_PENDING_BYTES", c.Worker.MaxPendingBytes, 64 << 20},
		{"COMMIT_ON_SUCCESS_ONLY", c.Kafka.CommitOnSuccessOnly, true},
		{"COMMIT_INTERVAL_SECONDS", c.Kafka.CommitInterval, time.Second},
		{"SHUTDOWN_TIMEOUT_SECONDS", c.ShutdownTimeout, 35 * time.Second},
		{"PROVIDER_TIMEOUT_SECONDS", c.Worker.ProviderTimeout, 30 * time.Second},
		{"SMTP_MESSAGES_PER_CONNECTION", c.SMTP.MessagesPerConnection, 100},
		{"RETRY_AFTER_MAX_SECONDS", c.Worker.RetryAfterMax, 10 * time.Minute},
		{"KAFKA_SESSION_TIMEOUT_SECONDS", c.Kafka.SessionTimeout, 10 * time.Second},
		{"KAFKA_COMPRESSION", c.Kafka.Compression, "lz4"},
		{"RECIPIENTS_MAX", c.Limits.Recipients, 10},
		{"MSG_MAX_BYTES", c.Limits.MessageBytes, 8 << 20},
		{"BODY_MAX_BYTES", c.Limits.BodyBytes, 2 << 20},
		{"BREAKER_FAILURES", c.Breaker.Failures, 5},
		{"BREAKER_REFUSALS", c.Breaker.Refusals, 10},
		{"SMS_PROVIDER", c.Provider.Name, "mock"},
		{"TWILIO_BASE_URL", c.Twilio.BaseURL, "https://api.twilio.com"},
		{"META_API_VERSION", c.Meta.APIVersion, "v23.0"},
		{"SMTP_PORT", c.SMTP.Port, 587},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s = %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestMistakesNameTheirVariable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noPEM := filepath.Join(dir, "no.pem")
	if err := os.WriteFile(noPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, value string }{
		{"MAX_ATTEMPTS", "0"},
		{"MAX_ATTEMPTS", "101"},
		{"MAX_ATTEMPTS", "three"},
		{"MAX_ATTEMPTS", "1.5"},
		{"BREAKER_REFUSALS", "-1"},
		{"SMS_BREAKER_REFUSALS", "ten"},
		{"SMS_MAX_ATTEMPTS", "x"},
		{"WORKER_CONCURRENCY", "0"},
		{"WORKER_CONCURRENCY", "-1"},
		{"MAX_PENDING_BYTES", "0"},
		{"BASE_BACKOFF_SECONDS", "-0.1"},
		{"BASE_BACKOFF_SECONDS", "NaN"},
		{"BASE_BACKOFF_SECONDS", "Inf"},
		{"BASE_BACKOFF_SECONDS", "1e300"},
		{"BASE_BACKOFF_SECONDS", "121"},
		{"BASE_BACKOFF_SECONDS", "10s"},
		{"PROVIDER_TIMEOUT_SECONDS", "0"},
		{"PROVIDER_TIMEOUT_SECONDS", "3000000"}, // longer than Kafka can say a hand-over takes
		{"SMTP_DATA_TIMEOUT_SECONDS", "3000000"},
		{"SMTP_MESSAGES_PER_CONNECTION", "0"},
		{"PROVIDER_RATE_PER_SECOND", "-1"},
		{"PROVIDER_RATE_PER_SECOND", "inf"},
		{"KAFKA_SESSION_TIMEOUT_SECONDS", "5.9"},
		{"KAFKA_SESSION_TIMEOUT_SECONDS", "1801"},
		{"APP_PORT", "-1"},
		{"APP_PORT", "65536"},
		{"LOG_LEVEL", "loud"},
		{"KAFKA_BROKERS", "localhost"},
		{"KAFKA_BROKERS", "localhost:0"},
		{"KAFKA_BROKERS", "localhost:9092,,"},
		{"KAFKA_BROKERS", "http://localhost:9092"},
		{"KAFKA_BROKERS", "PLAINTEXT://localhost:9092"},
		{"KAFKA_BROKERS", "'localhost:9092'"},
		{"KAFKA_BROKERS", `localhost:9092,"other:9092"`},
		{"KAFKA_BROKERS", "localhost:9092 other:9092"},
		{"KAFKA_BROKERS", "user@localhost:9092"},
		{"KAFKA_BROKERS", "10.0.0.256:9092"},
		{"KAFKA_COMPRESSION", "zip"},
		{"KAFKA_SECURITY_PROTOCOL", "TLS"},
		{"KAFKA_TLS_CA_FILE", filepath.Join(dir, "none.pem")},
		{"KAFKA_TLS_CA_FILE", noPEM},
		{"SMTP_TLS_CA_FILE", noPEM},
		{"SMTP_HELO_NAME", "my_host.example.com"},
		{"SMTP_HELO_NAME", "my host"},
		{"SMTP_HELO_NAME", "mail.example.com."},
		{"SMTP_HELO_NAME", "mail..example.com"},
		{"SMTP_HELO_NAME", "-mail.example.com"},
		{"SMTP_HELO_NAME", "münchen.example"},
		{"SMTP_HELO_NAME", "192.0.2.1"},
		{"SMTP_HELO_NAME", "[192.0.2]"},
		{"SMTP_HELO_NAME", "[2001:db8::1]"},
		{"SMTP_HELO_NAME", "[IPv6:fe80::1%eth0]"},
		{"SMTP_HELO_NAME", "mail.example.com SIZE"},
		{"COMMIT_ON_SUCCESS_ONLY", "maybe"},
		{"SMS_PROVIDER", "smtp"},
		{"EMAIL_PROVIDER", "twilio"},
		{"TWILIO_BASE_URL", "api.twilio.com"},
		{"TWILIO_BASE_URL", "http://api.twilio.com:99999"},
		{"META_BASE_URL", "ftp://x"},
		{"TWILIO_CONTENT_SIDS", "a=1,a=2"},
		{"META_PHONE_NUMBER_IDS", "15551234567=200"},
		{"KAFKA_SMS_STATUS_TOPIC", "messages.sms.request"},
		{"KAFKA_SMS_DLQ_TOPIC", "messages.sms.request"},
		{"TWILIO_AUTH_TOKEN_FILE", filepath.Join(dir, "none")},
		{"AMBIGUOUS_OUTCOME", "drop"},
	}
	for _, tt := range tests {
		_, problems := load(t, "sms", map[string]string{tt.name: tt.value})
		if len(problems) != 1 || !strings.HasPrefix(problems[0], tt.name+": ") {
			t.Errorf("%s=%s: problems %q, want one that begins with the name", tt.name, tt.value, problems)
		}
	}
}

// What RFC 5321, 4.1.1.1, allows in EHLO is taken as it is.
func TestHeloNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mail.example.com", "localhost", "xn--mnchen-3ya.example", "1.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:::1]"} {
		if c, problems := load(t, "sms", map[string]string{"SMTP_HELO_NAME": name}); problems != nil || c.SMTP.HeloName != name {
			t.Errorf("SMTP_HELO_NAME=%s: %q", name, problems)
		}
	}
}

// What is set for all pods of a platform is no mistake of ours while traces
// are off.
func TestTraceSettings(t *testing.T) {
	t.Parallel()
	const protocol, endpoint = "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_ENDPOINT"
	if _, problems := load(t, "sms", map[string]string{protocol: "grpc"}); len(problems) != 0 {
		t.Errorf("without an endpoint: %q", problems)
	}
	if _, problems := load(t, "sms", map[string]string{protocol: "grpc", endpoint: "http://localhost:4317"}); len(problems) != 1 || !strings.HasPrefix(problems[0], protocol) {
		t.Errorf("with an endpoint: %q", problems)
	}
	if c, problems := load(t, "sms", map[string]string{"OTEL_TRACES_EXPORTER": "none", endpoint: "http://localhost:4318"}); len(problems) != 0 || c.OTel.On() {
		t.Errorf("OTEL_TRACES_EXPORTER=none leaves traces on: %q", problems)
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Load(lookup(map[string]string{"MAX_ATTEMPTS": "x", "APP_PORT": "y"}), "email")
	for _, name := range []string{
		"KAFKA_BROKERS", "KAFKA_EMAIL_REQUEST_TOPIC", "KAFKA_EMAIL_STATUS_TOPIC", "KAFKA_EMAIL_DLQ_TOPIC",
		"EMAIL_CONSUMER_GROUP", "MAX_ATTEMPTS", "APP_PORT",
	} {
		if !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s is missing in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "SMS") {
		t.Errorf("an email worker asks for sms settings:\n%v", err)
	}
}

func TestProvidersAskForTheirOwn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		channel string
		env     map[string]string
		want    []string
	}{
		{"twilio", "sms", map[string]string{"SMS_PROVIDER": "twilio"}, []string{"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"}},
		{"twilio with half a key", "sms", map[string]string{"SMS_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": account, "TWILIO_API_KEY_SID": "SK" + account[2:]}, []string{"TWILIO_API_KEY_SID"}},
		{"another channel's", "sms", map[string]string{"EMAIL_PROVIDER": "smtp"}, nil},
		{"a secret twice behind an override", "sms", map[string]string{"SMS_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": account, "SMS_TWILIO_AUTH_TOKEN": "a", "TWILIO_AUTH_TOKEN": "b", "TWILIO_AUTH_TOKEN_FILE": "c"}, []string{"TWILIO_AUTH_TOKEN"}},
		{"sasl", "sms", map[string]string{"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, []string{"KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := load(t, tt.channel, tt.env)
			var names []string
			for _, p := range problems {
				name, _, _ := strings.Cut(p, ":")
				names = append(names, name)
			}
			if !slices.Equal(names, tt.want) {
				t.Errorf("problems %q, want those of %v", problems, tt.want)
			}
		})
	}
}

func TestChannelOverrideWins(t *testing.T) {
	t.Parallel()
	env := map[string]string{"MAX_ATTEMPTS": "4", "SMS_MAX_ATTEMPTS": "7", "EMAIL_MAX_ATTEMPTS": "bad", "SMS_APP_PORT": "0"}
	c, problems := load(t, "sms", env)
	if problems != nil {
		t.Fatal(problems)
	}
	if c.Worker.MaxAttempts != 7 || c.Port != 0 {
		t.Errorf("attempts %d, port %d, want 7 and 0", c.Worker.MaxAttempts, c.Port)
	}
}

// A topic, a group and the choice of a provider name their channel already.
func TestNamesWithChannelHaveNoOverride(t *testing.T) {
	t.Parallel()
	env := map[string]string{"SMS_KAFKA_SMS_REQUEST_TOPIC": "other", "SMS_SMS_CONSUMER_GROUP": "other", "SMS_SMS_PROVIDER": "twilio"}
	c, problems := load(t, "sms", env)
	if problems != nil {
		t.Fatal(problems)
	}
	if c.Kafka.RequestTopic == "other" || c.Kafka.Group == "other" || c.Provider.Name != "mock" {
		t.Errorf("topic %q, group %q, provider %q, want no override", c.Kafka.RequestTopic, c.Kafka.Group, c.Provider.Name)
	}
	for name := range env {
		if config.Known(name) {
			t.Errorf("%s is a setting", name)
		}
	}
}

func TestZeroIsAValue(t *testing.T) {
	t.Parallel()
	c, problems := load(t, "sms", map[string]string{"SHUTDOWN_TIMEOUT_SECONDS": "0", "COMMIT_INTERVAL_SECONDS": "0", "BASE_BACKOFF_SECONDS": "0", "BREAKER_FAILURES": "0", "BREAKER_REFUSALS": "0"})
	if problems != nil {
		t.Fatal(problems)
	}
	if c.ShutdownTimeout != 0 || c.Kafka.CommitInterval != 0 || c.Worker.BaseBackoff != 0 || c.Breaker.Failures != 0 || c.Breaker.Refusals != 0 {
		t.Errorf("shutdown %v, commit %v, backoff %v, breaker %+v, want zeros", c.ShutdownTimeout, c.Kafka.CommitInterval, c.Worker.BaseBackoff, c.Breaker)
	}
}

func TestSecretsHideAndRotate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("  first-hunter2\n")
	env := map[string]string{"SMS_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": account, "TWILIO_AUTH_TOKEN_FILE": path, "KAFKA_SASL_PASSWORD": "hunter2"}
	c, problems := load(t, "sms", env)
	if problems != nil {
		t.Fatal(problems)
	}
	if got, err := c.Twilio.AuthToken.Get(); got != "first-hunter2" || err != nil {
		t.Errorf("Get() = %q, %v, want the trimmed content", got, err)
	}
	write("second")
	if got, _ := c.Twilio.AuthToken.Get(); got != "second" {
		t.Errorf("Get() = %q after the file changed, want second", got)
	}
	write("\uFEFFthird\r\n")
	if got, _ := c.Twilio.AuthToken.Get(); got != "third" {
		t.Errorf("Get() = %q of a file with a byte order mark, want third", got)
	}
	for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %s", c.Twilio, c.Kafka, c.Kafka.SASLPassword)} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("a secret is printed: %s", shown)
		}
	}
	env["TWILIO_AUTH_TOKEN"] = "hunter2"
	if _, problems = load(t, "sms", env); len(problems) != 1 || !strings.HasPrefix(problems[0], "TWILIO_AUTH_TOKEN: ") || strings.Contains(problems[0], "hunter2") {
		t.Errorf("both given: problems %q, want one for TWILIO_AUTH_TOKEN without its value", problems)
	}
}

func TestLongestCallBoundsTheDrain(t *testing.T) {
	t.Parallel()
	env := required()
	for _, name := range []string{"REQUEST", "STATUS", "DLQ"} {
		env["KAFKA_EMAIL_"+name+"_TOPIC"] = "messages.email." + strings.ToLower(name)
	}
	env["EMAIL_CONSUMER_GROUP"], env["EMAIL_PROVIDER"] = "g", "smtp"
	env["SMTP_HOST"], env["SMTP_AUTH"] = "relay", "none"
	env["PROVIDER_TIMEOUT_SECONDS"], env["SMTP_DATA_TIMEOUT_SECONDS"] = "10", "600"
	c, err := config.Load(lookup(env), "email")
	if err != nil {
		t.Fatal(err)
	}
	if c.LongestCall() != 610*time.Second || c.ShutdownTimeout != 615*time.Second {
		t.Errorf("longest call %v, shutdown %v, want 10m10s and 10m15s", c.LongestCall(), c.ShutdownTimeout)
	}
}

func TestExampleFileIsCompleteAndTrue(t *testing.T) {
	t.Parallel()
	const path = "../../.env.example"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env, err := godotenv.UnmarshalBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"email", "sms", "whatsapp"} {
		if _, err := config.Load(lookup(env), channel); err != nil {
			t.Errorf("%s: %v", channel, err)
		}
	}
	for name := range env {
		if !config.Known(name) {
			t.Errorf("%s is not a setting", name)
		}
	}
	lines := strings.Split(string(data), "\n")
	for _, name := range config.Names() {
		if !slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(strings.TrimPrefix(l, "# "), name+"=")
		}) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, l := range lines { // what is commented out must exist too
		if name, _, ok := strings.Cut(strings.TrimPrefix(l, "# "), "="); ok && !strings.ContainsAny(name, " :") && !config.Known(name) {
			t.Errorf("%s is not a setting", name)
		}
	}
}

// The example is for a cluster of three brokers, and generous: nothing that a
// default lets in is refused, and the three workers share a host.
func TestExampleFileIsTunedForThreeBrokers(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	env, err := godotenv.UnmarshalBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	for i, channel := range []string{"email", "sms", "whatsapp"} {
		c, err := config.Load(lookup(env), channel)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := config.LoadTool(lookup(required()), channel)
		if err != nil {
			t.Fatal(err)
		}
		if c.Port != 8081+i {
			t.Errorf("%s: port %d, want %d", channel, c.Port, 8081+i)
		}
		topic := c.Kafka.Topic
		if len(c.Kafka.Brokers) != 3 || topic.Replication != 3 || topic.MinISR != 2 || topic.Partitions%3 != 0 {
			t.Errorf("%s: brokers %v, topics %+v, want three of which two acknowledge", channel, c.Kafka.Brokers, topic)
		}
		if c.Worker.MaxAttempts != 5 || c.Worker.Concurrency <= plain.Worker.Concurrency {
			t.Errorf("%s: %d attempts, concurrency %d, want 5, and more than %d", channel, c.Worker.MaxAttempts, c.Worker.Concurrency, plain.Worker.Concurrency)
		}
		if c.Limits.MessageBytes <= plain.Limits.MessageBytes || c.Limits.Recipients <= plain.Limits.Recipients || c.Limits.BodyBytes <= plain.Limits.BodyBytes ||
			c.Limits.MetaEntries <= plain.Limits.MetaEntries || c.Limits.MetaValueRunes <= plain.Limits.MetaValueRunes {
			t.Errorf("%s: limits %+v, want higher ones than %+v", channel, c.Limits, plain.Limits)
		}
	}
}

// Every setting of the example stands in a group, under a line that explains
// it, its own or that of the settings right above.
func TestExampleFileExplains(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	group, explained, seen := "", false, map[string]bool{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		name, _, assigned := strings.Cut(strings.TrimPrefix(line, "# "), "=")
		switch {
		case line == "":
			explained = false
		case strings.HasPrefix(line, "# --- "):
			group, explained = line, false
		case !assigned || !config.Known(name):
			explained = explained || strings.HasPrefix(line, "# ")
		case group == "":
			t.Errorf("%s stands in no group", name)
		case seen[name]:
			t.Errorf("%s is there twice", name)
		case !explained:
			t.Errorf("%s is not explained", name)
		}
		seen[name] = true
	}
}

// A password is what it is: no variable of the file, and no absent one, is put
// in where it has a $.
func TestDollarsInTheEnvFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "my.env")
	lines := []string{
		`# A='comment`, `SMTP_USERNAME=W0RD`, `SMTP_PASSWORD=Pa$W0RD-x`, `TWILIO_AUTH_TOKEN="$$SMTP_USERNAME ${SMTP_USERNAME}"`, `META_ACCESS_TOKEN='a$B`, `c$D'`,
		`KAFKA_SASL_PASSWORD=a\$B$(C) # $D`, `export SMTP_HELO_NAME: $`, `APP_HOST='$A'`, `KAFKA_CLIENT_ID=$A`,
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	look, _, err := config.Environment(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"SMTP_PASSWORD": "Pa$W0RD-x", "TWILIO_AUTH_TOKEN": "$$SMTP_USERNAME ${SMTP_USERNAME}", "META_ACCESS_TOKEN": "a$B\nc$D",
		"KAFKA_SASL_PASSWORD": "a$B$(C)", "SMTP_HELO_NAME": "$", "APP_HOST": "$A", "KAFKA_CLIENT_ID": "$A",
	} {
		if got, _ := look(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestEnvFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "my.env")
	if err := os.WriteFile(path, []byte("MAX_ATTEMPTS=9\nAPP_HOST=fromfile\nMAX_ATEMPTS=3\nSMS_APP_PORT=1\nTWILIO_AUTH_TOKEN_FILE=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("APP_HOST", "fromenv")
	look, warnings, err := config.Environment(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := look("MAX_ATTEMPTS"); got != "9" {
		t.Errorf("MAX_ATTEMPTS = %q, want 9 from the file", got)
	}
	if got, _ := look("APP_HOST"); got != "fromenv" {
		t.Errorf("APP_HOST = %q, want fromenv: the environment wins", got)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "MAX_ATEMPTS") {
		t.Errorf("warnings %q, want one that names MAX_ATEMPTS", warnings)
	}
	if _, _, err := config.Environment(filepath.Join(dir, "none.env")); err == nil || !strings.Contains(err.Error(), "none.env") {
		t.Errorf("a named file that is missing: error %v, want one that names it", err)
	}
	if err := os.WriteFile(path, []byte("A=1\nthis is not hunter2 a line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.Environment(path); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a broken file: error %v, want one that does not quote it", err)
	}
	t.Chdir(dir)
	if _, _, err := config.Environment(""); err != nil {
		t.Errorf("without a .env: %v, want nil", err)
	}
}

// Limits alone need no broker and read no file of a certificate.
func TestLimitsAlone(t *testing.T) {
	t.Parallel()
	env := map[string]string{"SMS_RECIPIENTS_MAX": "3", "SMS_BODY_MAX": "7", "KAFKA_TLS_CA_FILE": "/no/such/file"}
	c, err := config.LoadLimits(lookup(env), "sms")
	if err != nil || c.Channel != "sms" || c.Limits.Recipients != 3 || c.Limits.SMSBodyRunes != 7 || c.Limits.MetaEntries != 50 {
		t.Errorf("LoadLimits = %+v, %v", c, err)
	}
	env["SMS_BODY_MAX"], env["MSG_MAX_BYTES"] = "0", "many"
	if _, err := config.LoadLimits(lookup(env), "sms"); err == nil || !strings.Contains(err.Error(), "SMS_BODY_MAX: ") || !strings.Contains(err.Error(), "MSG_MAX_BYTES: ") {
		t.Errorf("two mistakes: error %v, want one that names both", err)
	}
	if _, err := config.LoadLimits(lookup(nil), "fax"); err == nil {
		t.Error("channel fax: want an error")
	}
}

func TestHelpListsEverySetting(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := config.WriteHelp(&b, "sms-worker"); err != nil {
		t.Fatal(err)
	}
	for _, name := range config.Names() {
		if !strings.Contains(b.String(), "  "+name) {
			t.Errorf("%s is missing in --help", name)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("MAX_ATTEMPTS", "3", "hunter2-secret")
	f.Add("KAFKA_BROKERS", "[::1]:9092", "s3cr3t-value")
	f.Fuzz(func(t *testing.T, name, value, secret string) {
		env := required()
		env["TWILIO_AUTH_TOKEN"], env["KAFKA_SASL_PASSWORD"] = secret, secret
		env[name] = value
		c, err := config.Load(lookup(env), "sms")
		if (c == nil) == (err == nil) {
			t.Fatal("want a config or an error")
		}
		secret = strings.TrimSpace(secret)
		if err != nil && len(secret) > 8 && !strings.Contains(name+value, secret) && strings.Contains(err.Error(), secret) {
			t.Fatalf("the error prints a secret: %v", err)
		}
	})
}
