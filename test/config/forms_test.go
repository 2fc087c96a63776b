package config_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"messaging-worker/internal/config"
)

// forms are settings of a known form: values that are right, and values that
// would fail later, at the first call.
func forms() []struct{ name, good, bad string } {
	const tail, longTopic = "0123456789abcdefABCDEF0123456789", 249
	return []struct{ name, good, bad string }{ // values between |
		{
			"SMTP_HOST", "relay|smtp.example.com|smtp.example.com.|smtp_relay|127.0.0.1|::1|[::1]|2001:db8::1|xn--bcher-kva.example|1and1.example",
			"smtp://relay|relay:25|[::1]:25|relay/x|a,b|a b|a;b|relay?x|user@relay|bücher.example|10.0.0.256|-a|a..b|.|\"relay\"|'relay'|[relay]",
		},
		{"APP_HOST", "0.0.0.0|::|[::]|localhost", "0.0.0.0:8080|http://localhost|a,b"},
		{"META_API_VERSION", "v23.0|v9.12", "23.0|V23.0|v23|v|latest|v23.0/|/v23.0|\"v23.0\"|vv23.0"},
		{"META_PHONE_NUMBER_ID", "1|105555555555555", "+15551234567|abc|10555 5|10-5|'105'"},
		{"META_PHONE_NUMBER_IDS", "+15551234567=200|+15551234567=200,+15557654321=201", "+15551234567=abc|+15551234567=+1555|15551234567=200"},
		{"TWILIO_ACCOUNT_SID", "AC" + tail, "AC|AC1|" + tail + "|SK" + tail + "|AC" + tail + "0|ac" + tail + "|AC" + tail[:31] + "g|\"AC" + tail + "\""},
		{"TWILIO_MESSAGING_SERVICE_SID", "MG" + tail, "MG|AC" + tail + "|my service"},
		{"TWILIO_CONTENT_SIDS", "a=HX" + tail + "|a=HX" + tail + ", b=HX" + tail, "a=b|a=HX|HX" + tail + "|a=AC" + tail},
		{
			"TWILIO_BASE_URL", "https://api.twilio.com|http://127.0.0.1:8080/x/|http://[::1]:8080|https://api_1.example",
			"https://api.twilio.com?x=1|https://api.twilio.com#x|https://api twilio.com|https://api.twilio.com/a b|'https://api.twilio.com'|https://a,b|api.twilio.com",
		},
		{"TWILIO_STATUS_CALLBACK_URL", "https://example.com/status?key=1", "https://example.com/#x|/status|https://a b/|ftp://example.com"},
		{"SMTP_USERNAME", "user@example.com|user", "a\x00b|a\nb|\"user\""},
		{"KAFKA_SMS_REQUEST_TOPIC", "a|messages.sms_request-1|" + strings.Repeat("a", longTopic), ".|..|a b|a/b|a,b|\"a\"|'messages.sms.request'|ä|" + strings.Repeat("a", longTopic+1)},
		{"KAFKA_TEMP_TOPIC", "messages.check", "messages check|*"},
		{"KAFKA_GROUP_INSTANCE_ID", "sms-worker-0|pod.1", "sms worker|a:1|\"a\""},
		{"SMS_CONSUMER_GROUP", "sms-workers|sms workers/1", "\"sms-workers\"|'sms-workers'|a\tb"},
		{"KAFKA_CLIENT_ID", "sms|sms 1", "a\nb|'sms'"},
		{"LOG_LEVEL", "debug", "INFO|\"info\""},
		{"MAX_ATTEMPTS", "3", "\"3\"|'3'"},
		{"TWILIO_AUTH_TOKEN", "abc|a\"b|\"a", "\"abc\"|'abc'|a\nb"},
		{"KAFKA_SASL_PASSWORD", "a b'", "'a'"},
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, tt := range forms() {
		for good := range strings.SplitSeq(tt.good, "|") {
			if _, problems := load(t, "sms", map[string]string{tt.name: good}); problems != nil {
				t.Errorf("%s=%s: problems %q", tt.name, good, problems)
			}
		}
		for bad := range strings.SplitSeq(tt.bad, "|") {
			_, problems := load(t, "sms", map[string]string{tt.name: bad})
			if len(problems) != 1 || !strings.HasPrefix(problems[0], tt.name+": ") || len(bad) > 8 && strings.Contains(problems[0], bad) {
				t.Errorf("%s=%s: problems %q, want one that begins with the name and does not quote it", tt.name, bad, problems)
			}
			if quoted := strings.Trim(bad, `"'`); quoted != bad && (len(problems) == 0 || !strings.Contains(problems[0], "quotes")) {
				t.Errorf("%s=%s: problems %q, want quotes named", tt.name, bad, problems)
			}
		}
	}
}

// An address in brackets is dialled without them.
func TestHostInBrackets(t *testing.T) {
	t.Parallel()
	if c, problems := load(t, "sms", map[string]string{"SMTP_HOST": "[::1]", "APP_HOST": "[::]"}); problems != nil || c.SMTP.Host != "::1" || c.Host != "::" {
		t.Errorf("%+v, %q", c, problems)
	}
}

// Mistakes are reported all at once, each once, also where a provider needs the
// value.
func TestFormsOfAProvider(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("one\ntwo"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		channel string
		env     map[string]string
		want    []string
	}{
		{"sms", map[string]string{
			"SMS_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": `"` + account + `"`, "TWILIO_API_KEY_SID": "key", "TWILIO_API_KEY_SECRET": "'a'", "KAFKA_SMS_DLQ_TOPIC": "'a'",
		}, []string{"KAFKA_SMS_DLQ_TOPIC", "TWILIO_ACCOUNT_SID", "TWILIO_API_KEY_SID", "TWILIO_API_KEY_SECRET"}},
		{"whatsapp", map[string]string{"WHATSAPP_PROVIDER": "meta", "META_PHONE_NUMBER_ID": "x", "META_ACCESS_TOKEN": "t", "META_API_VERSION": "23.0"}, []string{"META_PHONE_NUMBER_ID", "META_API_VERSION"}},
		{"email", map[string]string{
			"EMAIL_PROVIDER": "smtp", "EMAIL_SMTP_HOST": "smtp://relay", "SMTP_AUTH": "none",
			"SMTP_DKIM_DOMAIN": "example", "SMTP_DKIM_SELECTOR": "mail._domainkey", "SMTP_DKIM_KEY_FILE": key,
		}, []string{"EMAIL_SMTP_HOST", "SMTP_DKIM_DOMAIN", "SMTP_DKIM_SELECTOR"}},
		{"email", map[string]string{
			"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "relay", "SMTP_AUTH": "none",
			"SMTP_DKIM_DOMAIN": "mail.example.com", "SMTP_DKIM_SELECTOR": "2026.mail-1", "SMTP_DKIM_KEY_FILE": key,
		}, nil},
	}
	for _, tt := range tests {
		env := map[string]string{"KAFKA_BROKERS": "localhost:9092"}
		for _, name := range config.Names() {
			if upper := strings.ToUpper(tt.channel); strings.HasPrefix(name, "KAFKA_"+upper+"_") || name == upper+"_CONSUMER_GROUP" {
				env[name] = strings.ToLower(name)
			}
		}
		maps.Copy(env, tt.env)
		_, err := config.Load(lookup(env), tt.channel)
		var got []string
		if err != nil {
			for problem := range strings.Lines(err.Error()) {
				name, _, _ := strings.Cut(problem, ":")
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%s: problems %v, want those of %v", tt.channel, err, tt.want)
		}
	}
}
