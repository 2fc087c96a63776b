package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"messaging-worker/internal/config"
)

// readFile reads a file as a worker does, and returns all that it says of it.
func readFile(t *testing.T, content string) (config.Origin, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "my.env")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	look, warnings, err := config.Environment(path)
	said := strings.Join(warnings, "\n")
	if err != nil {
		said += err.Error()
	}
	return look, strings.ReplaceAll(said, path, "my.env"), err
}

func TestEnvFileMistakes(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0VmFsdWU"
	tests := []struct {
		name, content string
		bad           bool
		want          []string // in what is said
	}{
		{"no =", "MAX_ATTEMPTS=3\nTWILIO_AUTH_TOKEN " + secret + "\n", true, []string{"my.env: line 2: TWILIO_AUTH_TOKEN: "}},
		{"no =, padded", "# a\n\nTWILIO_AUTH_TOKEN " + secret + "==\n", true, []string{"my.env: line 3: TWILIO_AUTH_TOKEN: "}},
		{"no = after export", "export TWILIO_AUTH_TOKEN " + secret + "=\n", true, []string{"line 1: TWILIO_AUTH_TOKEN: "}},
		{"a tab", "SMTP_PASSWORD\t" + secret + ":x", true, []string{"line 1: SMTP_PASSWORD: "}},
		{"a value alone", secret, true, []string{"line 1: "}},
		{"a value alone, padded", secret + "=\n", false, []string{"line 1 "}},
		{"a value glued to its name", "SMTP_PASSWORD" + secret + "=", false, []string{"line 1 "}},
		{"a value that follows", "SMTP_PASSWORD=\n" + secret + "==", false, []string{"line 2 "}},
		{"not closed", "A=1\nSMTP_PASSWORD=\"" + secret + "\nMAX_ATTEMPTS 3\n", true, []string{"line 2: SMTP_PASSWORD: ", "line 3: MAX_ATTEMPTS: "}},
		{"not closed at the end", "SMTP_PASSWORD='" + secret, true, []string{"line 1: SMTP_PASSWORD: "}},
		{"behind the quote", `SMTP_PASSWORD="a"` + secret, true, []string{"line 1: SMTP_PASSWORD: "}},
		{"odd name", "SMTP-" + secret + "=x\n=y\n", true, []string{"line 1: ", "line 2: "}},
		{"behind a value of several lines", "META_ACCESS_TOKEN='a\nb'\nMAX_ATEMPTS=3\n", false, []string{"my.env: MAX_ATEMPTS is not a setting (line 3)"}},
		{"behind line ends of Windows", "A=1\r\nMAX_ATEMPTS=3\r\n", false, []string{"MAX_ATEMPTS is not a setting (line 2)"}},
		{"lower case", "max_attempts=3\n", false, []string{"max_attempts is not a setting (line 1)"}},
		{"export alone", "export =" + secret + "\n", true, []string{"my.env: line 1: "}},
		{"UTF-16", "\xff\xfeA\x00=\x001\x00", true, []string{"line 1: ", "UTF-8"}},
	}
	for _, tt := range tests {
		_, said, err := readFile(t, tt.content)
		if (err != nil) != tt.bad || strings.Contains(said, secret) {
			t.Errorf("%s: %v, said %q, want an error %t and nothing of the value", tt.name, err, said, tt.bad)
		}
		for _, want := range tt.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: said %q, want %q", tt.name, said, want)
			}
		}
	}
}

func TestEnvFileForms(t *testing.T) {
	t.Parallel()
	look, said, err := readFile(t, "\uFEFFAPP_HOST=first\r\nexport SMTP_USERNAME = name \r\nexport\tSMTP_PASSWORD='a\r\n# b\r\nc' # comment\r\n"+
		"TWILIO_AUTH_TOKEN='a\\'\n$B'\nTWILIO_API_KEY_SECRET=\"\\\\ \\n\\x \\$A\"\nSMTP_HELO_NAME=a #b # c\n"+
		"META_ACCESS_TOKEN=\"x \\\"y\\\" # z\"\r\n  KAFKA_CLIENT_ID: id # comment\r\n# MAX_ATTEMPTS 3\r\nAPP_PORT=\r\nKAFKA_BROKERS=a:1,b=c'd\"\rAPP_ENV=last")
	if err != nil || said != "" {
		t.Fatal(said, err)
	}
	for name, want := range map[string]string{
		"APP_HOST": "first", "SMTP_USERNAME": "name", "SMTP_PASSWORD": "a\n# b\nc", "META_ACCESS_TOKEN": `x "y" # z`,
		"TWILIO_AUTH_TOKEN": "a\\'\n$B", "TWILIO_API_KEY_SECRET": "\\ \nx $A", "SMTP_HELO_NAME": "a #b",
		"KAFKA_CLIENT_ID": "id", "APP_PORT": "", "KAFKA_BROKERS": `a:1,b=c'd"`, "APP_ENV": "last",
	} {
		if got, _ := look(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

// Whatever is in a file, nothing that is said of it has a value in it.
func FuzzEnvFile(f *testing.F) {
	f.Add("TWILIO_AUTH_TOKEN ", "=\n")
	f.Add("SMTP_PASSWORD=\"", "\nMAX_ATTEMPTS 3\n")
	f.Add("\uFEFFexport A=1\r\n", "==\r\n")
	f.Add("SMTP_PASSWORD", ":")
	f.Add("A='\n", "' B=")
	f.Fuzz(func(t *testing.T, before, behind string) {
		const secret = "c2VjcmV0VmFsdWU"
		if strings.Contains(before+behind, "OTEL_") {
			return // given to the whole process
		}
		_, said, err := readFile(t, before+secret+behind)
		if strings.Contains(said, secret) {
			t.Fatalf("of %q it says %q, %v", before+secret+behind, said, err)
		}
	})
}
