// Package e2e_test runs the built binaries against real Apache Kafka, as an
// operator would, and looks at nothing but their topics, exit codes, logs and
// HTTP answers.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"messaging-worker/test/kafka"
)

// suite is what all tests share: one broker and one build of the binaries.
var suite struct {
	broker *kafka.Broker
	bin    string
}

func TestMain(m *testing.M) { os.Exit(runSuite(m)) }

func runSuite(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "messaging-worker/cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binaries: %v\n%s", err, out)
		return 1
	}
	suite.bin = dir
	if suite.broker, err = kafka.LaunchAny(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if suite.broker.Real {
		fmt.Fprintf(os.Stderr, "e2e: on Apache Kafka %s\n", kafka.Version)
	} else {
		fmt.Fprintf(os.Stderr, "\n*** e2e: NOT on Apache Kafka, only on the embedded broker: %s ***\n\n", suite.broker.Why)
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, suite.broker.Logs())
	}
	suite.broker.Close()
	if code == 0 {
		_ = os.RemoveAll(dir)
	}
	return code
}
