// Package msgctl_test runs msgctl as a person does, on Apache Kafka.
package msgctl_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/test/stage"
)

func TestMain(m *testing.M) { os.Exit(stage.Main(m, "msgctl")) }

var update = flag.Bool("update", false, "write the golden files anew, for you to read")

// result is how a run of msgctl ended.
type result struct {
	args     []string
	out, err string
	code     int
}

// msgctl runs the binary with a stage's settings, and input as its standard
// input.
func msgctl(t *testing.T, s *stage.Stage, input string, args ...string) result {
	t.Helper()
	return run(t, command(t.Context(), s, args...), input)
}

// command prepares a run of the binary with a stage's settings.
func command(ctx context.Context, s *stage.Stage, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(stage.Suite.Bin, "msgctl"), args...)
	cmd.Env = s.Env(nil)
	return cmd
}

func run(t *testing.T, cmd *exec.Cmd, input string) result {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &complaints
	if cmd.Dir == "" {
		cmd.Dir = t.TempDir()
	}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{cmd.Args[1:], out.String(), complaints.String(), cmd.ProcessState.ExitCode()}
}

// succeeds ends the test where a run did not end with exit code 0.
func succeeds(t *testing.T, r result) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("%s: exit code %d: %s%s", r.args, r.code, r.out, r.err)
	}
	return r
}

// golden compares output to testdata/NAME.golden, after what changes from run
// to run is replaced by words.
func golden(t *testing.T, s *stage.Stage, name, got string) {
	t.Helper()
	for _, change := range []struct{ pattern, word string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`, "UUID"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`, "TIME"},
		{`127\.0\.0\.1:\d+`, "HOST:PORT"},
		{regexp.QuoteMeta(s.Name), "STAGE"},
	} {
		got = regexp.MustCompile(change.pattern).ReplaceAllString(got, change.word)
	}
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not as written (-want +got); go test ./test/msgctl -update writes it anew:\n%s", path, diff)
	}
}
