package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"messaging-worker/test/kafka"
)

// Suite is what all tests of a package share: one broker and one build of the
// binaries.
var Suite struct {
	Broker *kafka.Broker
	Bin    string // their folder
}

// Main runs a package's tests on the Suite and returns the exit code.
func Main(m *testing.M, name string) int {
	dir, err := os.MkdirTemp("", name+"-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "messaging-worker/cmd/...")
	build.Dir = root() // the tests may be of another module
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binaries: %v\n%s", err, out)
		return 1
	}
	Suite.Bin = dir
	if Suite.Broker, err = kafka.LaunchAny(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if Suite.Broker.Real {
		fmt.Fprintf(os.Stderr, "%s: on Apache Kafka %s\n", name, kafka.Version)
	} else {
		fmt.Fprintf(os.Stderr, "\n*** %s: NOT on Apache Kafka, only on the embedded broker: %s ***\n\n", name, Suite.Broker.Why)
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, Suite.Broker.Complaints())
	}
	Suite.Broker.Close()
	if code == 0 {
		_ = os.RemoveAll(dir)
	}
	return code
}

// root returns the folder of the product's module.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}
