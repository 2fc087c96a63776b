package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "messaging-worker/"

// rule is what one package may import of this module. An entry that ends in
// /... stands for all packages below it.
type rule struct {
	path string
	may  []string
	// client: may import the Kafka client.
	client bool
}

// rules lists every package. An import that is not listed is an error, so a new
// package begins with its row here.
func rules() []rule {
	leaf := []string(nil)
	return []rule{
		{path: "cmd/email-worker", may: []string{"internal/app"}},
		{path: "cmd/sms-worker", may: []string{"internal/app"}},
		{path: "cmd/whatsapp-worker", may: []string{"internal/app"}},
		{path: "cmd/msgctl", may: []string{"internal/adapters/explain", "internal/app", "internal/config", "internal/dev", "internal/logger", "internal/models", "internal/preflight", "internal/ops", "internal/ops/...", "internal/providers/fake"}},
		{path: "internal/dev", may: []string{"internal/app", "internal/config", "internal/kafka/embedded", "internal/lifetime", "internal/models", "internal/ops", "internal/ops/control", "internal/ops/fault"}},
		{path: "internal/preflight", may: []string{"internal/app", "internal/config", "internal/kafka", "internal/models", "internal/ops/cluster"}},
		{path: "internal/app", may: []string{"internal/..."}},
		{path: "internal/ops", may: []string{"internal/adapters/...", "internal/config", "internal/kafka", "internal/lifetime", "internal/models", "internal/ops/fault", "internal/ops/scan", "internal/util"}, client: true},
		{path: "internal/ops/cluster", may: []string{"internal/config", "internal/kafka", "internal/lifetime", "internal/models", "internal/ops", "internal/ops/fault"}, client: true},
		{path: "internal/ops/load", may: []string{"internal/config", "internal/kafka", "internal/lifetime", "internal/models", "internal/ops"}, client: true},
		{path: "internal/ops/control", may: []string{"internal/config", "internal/models", "internal/ops", "internal/ops/fault", "internal/ops/scan", "internal/orders", "internal/util"}, client: true},
		{path: "internal/ops/fault", may: leaf},
		{path: "internal/ops/scan", may: []string{"internal/kafka", "internal/lifetime", "internal/ops/fault"}, client: true},
		{path: "internal/ops/patch", may: leaf},
		{path: "internal/ops/dlq", may: []string{"internal/config", "internal/kafka", "internal/models", "internal/ops", "internal/ops/control", "internal/ops/patch", "internal/ops/fault", "internal/ops/scan", "internal/orders", "internal/util"}, client: true},
		{path: "internal/ops/timeline", may: []string{"internal/config", "internal/models", "internal/ops", "internal/ops/dlq", "internal/ops/fault", "internal/ops/scan"}, client: true},

		{path: "internal/config", may: []string{"internal/util"}},
		{path: "internal/logger", may: leaf},
		{path: "internal/util", may: leaf},
		{path: "internal/models", may: leaf},
		{path: "internal/message", may: []string{"internal/models"}},
		{path: "internal/orders", may: []string{"internal/models"}},
		{path: "internal/health", may: leaf},
		{path: "internal/lifetime", may: leaf},
		{path: "internal/broadcast", may: leaf},
		{path: "internal/fifo", may: leaf},
		{path: "internal/pool", may: []string{"internal/fifo"}},

		{path: "internal/kafka", may: []string{"internal/config"}, client: true},
		{path: "internal/kafka/embedded", may: leaf, client: true},
		{path: "internal/kafka/consumer", may: []string{"internal/broadcast", "internal/kafka", "internal/kafka/journal", "internal/lifetime", "internal/message", "internal/models", "internal/pool"}, client: true},
		{path: "internal/kafka/follow", may: []string{"internal/kafka", "internal/lifetime", "internal/models"}, client: true},
		{path: "internal/kafka/journal", may: []string{"internal/kafka", "internal/message", "internal/models"}, client: true},
		{path: "internal/kafka/producer", may: []string{"internal/fifo", "internal/kafka", "internal/lifetime"}, client: true},
		{path: "internal/kafka/publisher", may: []string{"internal/kafka", "internal/kafka/producer", "internal/lifetime", "internal/models"}, client: true},

		{path: "internal/telemetry", may: []string{"internal/adapters/common", "internal/lifetime", "internal/message", "internal/models", "internal/worker"}},
		{path: "internal/worker", may: []string{"internal/adapters/common", "internal/lifetime", "internal/message", "internal/models", "internal/orders", "internal/util", "internal/worker/route"}},
		{path: "internal/worker/route", may: []string{"internal/adapters/common", "internal/fifo", "internal/lifetime", "internal/models"}},

		{path: "internal/adapters/common", may: []string{"internal/models"}},
		{path: "internal/adapters/request", may: []string{"internal/adapters/common", "internal/models", "internal/util"}},
		{path: "internal/adapters/answer", may: []string{"internal/adapters/common", "internal/models", "internal/util"}},
		{path: "internal/adapters/httpapi", may: []string{"internal/adapters/answer", "internal/adapters/common", "internal/models", "internal/providers/api"}},
		{path: "internal/adapters/email", may: []string{"internal/adapters/answer", "internal/adapters/common", "internal/adapters/request", "internal/models", "internal/util", "internal/providers/email"}},
		{path: "internal/adapters/phone", may: []string{"internal/adapters/common", "internal/adapters/httpapi", "internal/adapters/request", "internal/models", "internal/util", "internal/providers/api"}},
		{path: "internal/adapters/sms", may: []string{"internal/adapters/phone", "internal/adapters/request", "internal/models", "internal/util"}},
		{path: "internal/adapters/whatsapp", may: []string{"internal/adapters/phone", "internal/adapters/request", "internal/models", "internal/util", "internal/providers/api"}},
		{path: "internal/adapters/mock", may: []string{"internal/adapters/common", "internal/adapters/email", "internal/adapters/httpapi", "internal/lifetime", "internal/models", "internal/providers/api", "internal/providers/email"}},

		{path: "internal/adapters/explain", may: []string{"internal/adapters/common", "internal/adapters/email", "internal/adapters/httpapi", "internal/models", "internal/providers/api", "internal/providers/email", "internal/providers/meta", "internal/providers/twilio"}},

		{path: "internal/providers/api", may: leaf},
		{path: "internal/providers/email", may: leaf},
		{path: "internal/providers/email/smtp", may: []string{"internal/providers/email", "internal/util"}},
		{path: "internal/providers/twilio", may: []string{"internal/providers/api"}},
		{path: "internal/providers/meta", may: []string{"internal/providers/api"}},
		{path: "internal/providers/fake", may: leaf},

		{path: "test/kafka", may: leaf, client: true},
		{path: "test/stage", may: []string{"internal/models", "test/kafka"}, client: true},
		{path: "bench", may: []string{"internal/models", "internal/providers/fake", "test/kafka"}, client: true},
	}
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	table := map[string]rule{}
	for _, r := range rules() {
		table[r.path] = r
	}
	seen := map[string]bool{}
	for _, file := range sources(t) {
		dir := path.Dir(file)
		r, ok := table[dir]
		if !ok {
			t.Errorf("%s: add its package to the table in internal/imports_test.go", file)
			continue
		}
		seen[dir] = true
		for _, imported := range imports(t, file) {
			ours, isOurs := strings.CutPrefix(imported, module)
			switch {
			case isOurs && !allowed(r.may, ours):
				t.Errorf("%s imports %s, which %s may not", file, ours, dir)
			case strings.HasPrefix(imported, "github.com/twmb/franz-go") && !r.client:
				t.Errorf("%s imports %s, which only the Kafka packages may", file, imported)
			}
		}
	}
	for p := range table {
		if !seen[p] {
			t.Errorf("the table has a package %s that does not exist", p)
		}
	}
}

// What msgctl alone needs is in no worker's binary: a broker, readers of whole
// topics, and checks of a cluster.
func TestWorkersDoNotLinkTools(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/email-worker", "./cmd/sms-worker", "./cmd/whatsapp-worker")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, module+"internal/app") {
		t.Fatal("go list does not list what the workers are made of")
	}
	tools := []string{
		module + "internal/ops/...", module + "internal/dev", module + "internal/preflight", module + "internal/kafka/embedded",
		module + "internal/adapters/explain", module + "internal/providers/fake", "github.com/twmb/franz-go/pkg/kfake", "github.com/spf13/cobra",
	}
	for _, pkg := range linked {
		if pkg == module+"internal/ops" || allowed(tools, pkg) {
			t.Errorf("a worker's binary links %s", pkg)
		}
	}
}

func allowed(may []string, pkg string) bool {
	return slices.ContainsFunc(may, func(m string) bool {
		below, all := strings.CutSuffix(m, "...")
		return m == pkg || all && strings.HasPrefix(pkg, below)
	})
}

// sources lists the Go files that are not tests, from the module's root.
func sources(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "tools" || d.Name() == "bin"):
			return filepath.SkipDir
		case strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go"):
			files = append(files, filepath.ToSlash(strings.TrimPrefix(p, "../")))
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("list sources: %v, %d files", err, len(files))
	}
	return files
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, spec := range f.Imports {
		list = append(list, strings.Trim(spec.Path.Value, `"`))
	}
	return list
}
