// Package kafka runs real Apache Kafka for tests, from its published jars:
// one node or three, on free loopback ports. It needs java (17 or later) and
// mvn, and nothing else.
package kafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Version is the Apache Kafka that is run.
const Version = "4.3.1"

//go:embed pom.xml
var pom []byte

// ErrUnavailable means that this machine cannot run Apache Kafka; the error's
// text says what is missing.
var ErrUnavailable = errors.New("cannot run Apache Kafka here")

// jars returns the folder of Kafka's jars. The first call on a machine
// downloads them into the user's cache folder, while the tests of other
// packages wait; another pom.xml is another folder.
func jars(ctx context.Context) (string, error) {
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("%w: %s is not on the PATH", ErrUnavailable, tool)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	final := filepath.Join(cache, "messaging-worker", fmt.Sprintf("kafka-%s-%08x", Version, crc32.ChecksumIEEE(pom)))
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o750); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	release, err := alone(final + ".lock")
	if err != nil {
		return "", err
	}
	defer release()
	if _, err := os.Stat(final); err == nil {
		return final, nil // another package's tests were first
	}
	return final, download(ctx, final)
}

// download fills a folder of its own and renames it when it is complete, so
// that a broken download is repeated and two at once do not mix.
func download(ctx context.Context, final string) error {
	temp, err := os.MkdirTemp(filepath.Dir(final), "download-*")
	if err != nil {
		return fmt.Errorf("make download folder: %w", err)
	}
	defer os.RemoveAll(temp)
	project, libs := filepath.Join(temp, "pom.xml"), filepath.Join(temp, "libs")
	if err := os.WriteFile(project, pom, 0o600); err != nil {
		return fmt.Errorf("write pom.xml: %w", err)
	}

	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", project, "dependency:copy-dependencies", "-DoutputDirectory="+libs)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("download Apache Kafka %s with mvn: %w\n%s", Version, err, tail(string(out)))
	}
	if err := os.Rename(libs, final); err != nil {
		if _, there := os.Stat(final); there == nil {
			return nil // another process was first
		}
		return fmt.Errorf("keep download: %w", err)
	}
	return nil
}

// tail returns the last lines of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}
