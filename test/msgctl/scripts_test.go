package msgctl_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// scriptsDir is where the project keeps its scripts.
func scriptsDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "scripts")
}

// script prepares a script as a user starts it, from dir. It gets no settings
// but those in env.
func script(t *testing.T, dir, path string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{path}, args...)...)
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH")}, env...)
	return cmd
}

// elsewhere copies the scripts to a folder without source, as in a container,
// where msgctl is on the PATH. The path has a space.
func elsewhere(t *testing.T) (dir string, path []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "my scripts")
	if err := os.CopyFS(filepath.Join(dir, "scripts"), os.DirFS(scriptsDir())); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "scripts"), []string{"PATH=" + stage.Suite.Bin + ":" + os.Getenv("PATH")}
}

// dotEnv writes settings of a stage as a file.
func dotEnv(t *testing.T, path string, s *stage.Stage, topic string) string {
	t.Helper()
	text := "KAFKA_BROKERS=" + strings.Join(s.Brokers, ",") + "\nKAFKA_EMAIL_REQUEST_TOPIC='" + topic + "'\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScriptsHelp(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(scriptsDir(), "*.sh"))
	if err != nil || len(paths) != 5 {
		t.Fatalf("%v: %v", err, paths)
	}
	for _, path := range paths {
		if filepath.Base(path) == "lib.sh" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s cannot be executed: %v", path, err)
		}
		for _, args := range [][]string{{"--help"}, {"--channel", "sms", "-h"}} {
			r := run(t, script(t, t.TempDir(), path, nil, args...), "")
			if r.code != 0 || !strings.HasPrefix(r.out, "Usage: "+filepath.Base(path)) || !strings.Contains(r.out, "--env-file") {
				t.Errorf("%s %v exits %d: %s%s", path, args, r.code, r.out, r.err)
			}
		}
	}
}

// The settings of a file are used, from any folder, and options win over them.
func TestScriptsReadSettings(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{})
	dir, path := elsewhere(t)
	producer := filepath.Join(dir, "email-scenario-producer.sh")
	wrong := dotEnv(t, filepath.Join(t.TempDir(), "wrong.env"), s, "no.such.topic")
	right := dotEnv(t, filepath.Join(t.TempDir(), "right.env"), s, s.Topic("request"))
	home, checkout := t.TempDir(), filepath.Dir(dir)
	dotEnv(t, filepath.Join(home, ".env"), s, s.Topic("request"))

	tests := []struct {
		name, dir string
		env, args []string
		code      int
	}{
		{"a file that is named", t.TempDir(), nil, []string{"--scenario", "transient", "--env-file", right}, 0},
		{".env in the working directory", home, nil, []string{"--scenario", "transient"}, 0},
		{"a named file before .env", home, nil, []string{"--env-file", wrong}, 1},
		{"an option before the file", home, nil, []string{"--env-file", wrong, "--topic", s.Topic("request"), "--scenario", "rate_limited"}, 0},
		{"the environment before the file", home, []string{"KAFKA_EMAIL_REQUEST_TOPIC=" + s.Topic("request")}, []string{"--env-file", wrong}, 0},
		{"an option before everything", home, []string{"KAFKA_BROKERS=127.0.0.1:1"}, []string{"--brokers", strings.Join(s.Brokers, ",")}, 0},
		{"no settings", t.TempDir(), nil, nil, 2},
		{"an unknown scenario", home, nil, []string{"--scenario", "sunny"}, 2},
		{"an unknown option", home, nil, []string{"--sunny"}, 2},
		{"a file that does not exist", home, nil, []string{"--env-file", "none.env"}, 2},
	}
	want := int64(0)
	for _, tt := range tests {
		r := run(t, script(t, tt.dir, producer, append(path, tt.env...), tt.args...), "")
		if r.code != tt.code {
			t.Errorf("%s: exits %d, want %d: %s", tt.name, r.code, tt.code, r.err)
		}
		if tt.code == 0 {
			want++
		}
	}
	// .env beside the scripts serves where the working directory has none.
	dotEnv(t, filepath.Join(checkout, ".env"), s, s.Topic("request"))
	succeeds(t, run(t, script(t, t.TempDir(), producer, path), ""))
	if got := count(t, s); got != want+1 {
		t.Errorf("%d requests were produced, want %d", got, want+1)
	}
}

// From the source tree a script builds msgctl; started through a link from a
// folder of its own, it finds its way.
func TestScriptsFromTheSource(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{})
	link := filepath.Join(t.TempDir(), "producer")
	if err := os.Symlink(filepath.Join(scriptsDir(), "email-scenario-producer.sh"), link); err != nil {
		t.Fatal(err)
	}
	env := append(s.Env(nil), "XDG_CACHE_HOME="+t.TempDir())
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY"} { // wherever this machine has them
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	r := run(t, script(t, t.TempDir(), link, env, "--scenario", "permanent", "--count", "3"), "")
	if r.code != 0 || count(t, s) != 3 {
		t.Errorf("exits %d, and %d requests were produced: %s", r.code, count(t, s), r.err)
	}
}

func TestLoadScript(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	s.Work(nil)
	dir, path := elsewhere(t)
	env := append(s.Env(nil), path...)
	r := run(t, script(t, t.TempDir(), filepath.Join(dir, "kafka-producer-load-test.sh"), env, "--channel", "sms", "--messages", "200", "--await", "--output", "json"), "")
	if got := readLoad(t, r); r.code != 0 || got.Outcome.Sent != 200 {
		t.Errorf("exits %d and prints %s%s", r.code, r.out, r.err)
	}
}

// The scripts without logic of their own become the right command of the
// binary that was built beside them.
func TestScriptsCallMsgctl(t *testing.T) {
	t.Parallel()
	dir, path := elsewhere(t)
	bin := filepath.Join(filepath.Dir(dir), "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "msgctl"), []byte("#!/bin/bash\nprintf '[%s]' \"$@\"; exit 7\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string]string{
		"kafka-init.sh": "[topics][init]", "check-kafka-connection.sh": "[check]",
		"kafka-producer-load-test.sh": "[load]", "email-scenario-producer.sh": "[produce][--channel][email]",
	} {
		r := run(t, script(t, t.TempDir(), filepath.Join(dir, name), path, "--channel", "s m s", "--env-file", "x"), "")
		if want := command + "[--channel][s m s][--env-file][x]"; r.out != want || r.code != 7 {
			t.Errorf("%s calls %s and exits %d, want %s and 7: %s", name, r.out, r.code, want, r.err)
		}
	}
}

// A source that does not build is reported, and nothing is run in its place.
func TestScriptsFromABrokenSource(t *testing.T) {
	t.Parallel()
	dir, path := elsewhere(t)
	source := filepath.Join(filepath.Dir(dir), "cmd", "msgctl")
	if err := os.MkdirAll(source, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"../../go.mod": "module broken\n", "main.go": "package main\n\nbroken\n"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cache := t.TempDir()
	r := run(t, script(t, t.TempDir(), filepath.Join(dir, "kafka-init.sh"), append(path, "XDG_CACHE_HOME="+cache)), "")
	if r.code != 2 || !strings.Contains(r.err, "cannot be built") {
		t.Errorf("exits %d, want 2, and says %s", r.code, r.err)
	}
	if left, err := filepath.Glob(filepath.Join(cache, "messaging-worker", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestScriptsWithoutMsgctl(t *testing.T) {
	t.Parallel()
	dir, _ := elsewhere(t)
	r := run(t, script(t, t.TempDir(), filepath.Join(dir, "kafka-init.sh"), []string{"PATH=/usr/bin:/bin"}), "")
	if r.code != 2 || !strings.Contains(r.err, "make build") {
		t.Errorf("exits %d, want 2, and says %s", r.code, r.err)
	}
}

// On Kafka: topics from nothing, then a connection that works.
func TestInitAndCheckScripts(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	dir, path := elsewhere(t)
	env := append(s.Env(map[string]string{"KAFKA_TOPIC_PARTITIONS": "3", "KAFKA_TEMP_TOPIC": s.Name + ".check"}), path...)
	succeeds(t, run(t, script(t, t.TempDir(), filepath.Join(dir, "kafka-init.sh"), env, "--channel", "sms"), ""))
	stage.Eventually(t, func() string {
		topics, err := s.Admin.ListTopics(s.Ctx, s.Topic("request"), s.Topic("status"), s.Topic("dlq"))
		if err != nil {
			return err.Error()
		}
		for _, topic := range topics {
			if len(topic.Partitions) != 3 {
				return topic.Topic + " has not three partitions"
			}
		}
		return ""
	})
	succeeds(t, run(t, script(t, t.TempDir(), filepath.Join(dir, "check-kafka-connection.sh"), env, "--channel", "sms"), ""))
	r := run(t, script(t, t.TempDir(), filepath.Join(dir, "check-kafka-connection.sh"), env, "--brokers", "127.0.0.1:1"), "")
	if r.code != 1 {
		t.Errorf("without a broker check-kafka-connection.sh exits %d, want 1: %s%s", r.code, r.out, r.err)
	}
}
