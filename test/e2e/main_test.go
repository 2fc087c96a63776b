// Package e2e_test runs the built binaries against real Apache Kafka, as an
// operator would, and looks at nothing but their topics, exit codes, logs and
// HTTP answers.
package e2e_test

import (
	"os"
	"testing"

	"messaging-worker/test/stage"
)

func TestMain(m *testing.M) { os.Exit(stage.Main(m, "e2e")) }
