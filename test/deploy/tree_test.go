// Package deploy_test reads what runs the workers in containers with the
// tools' own libraries, and holds it against the code, .env.example and the
// documents. Each check returns what is wrong; TestPlantedMistakes shows that
// it would.
package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/joho/godotenv"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// faults collects what is wrong.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// same adds a fault where two places that must agree do not.
func (f *faults) same(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.add("%s is %v, want %v", what, got, want)
	}
}

// tree is a copy of the project's files in a folder of its own, with
// .env.example as .env.
type tree string

func newTree(t *testing.T) tree {
	t.Helper()
	root := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"deploy", "docs", "scripts"} {
		if _, err := os.Stat("../../" + dir); err == nil { // the check that wants it reports what is missing
			must(os.CopyFS(filepath.Join(root, dir), os.DirFS("../../"+dir)))
		}
	}
	files := []string{"Dockerfile", ".dockerignore", ".gitignore", ".env.example", "README.md", "CONTRIBUTING.md", "docker-compose.yml", "test/docker-compose.yml"}
	for _, file := range append(files, goModules()...) {
		must(os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755))
		data, err := os.ReadFile("../../" + file)
		must(err)
		must(os.WriteFile(filepath.Join(root, file), data, 0o600))
	}
	for _, linked := range []string{"cmd", "internal", "bin", "go.sum", "Makefile", "test/kafka", "test/e2e"} {
		real, err := filepath.Abs("../../" + linked)
		must(err)
		must(os.Symlink(real, filepath.Join(root, linked)))
	}
	r := tree(root)
	must(os.WriteFile(r.path(".env"), []byte(r.read(t, ".env.example")), 0o600))
	return r
}

func (r tree) path(name string) string { return filepath.Join(string(r), name) }

func (r tree) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (r tree) exists(name string) bool {
	_, err := os.Stat(r.path(name))
	return err == nil
}

// example returns the settings of .env.example.
func (r tree) example(t *testing.T) map[string]string {
	t.Helper()
	env, err := godotenv.Unmarshal(r.read(t, ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// lookup makes a config.Lookup of a map.
func lookup(env map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

// unknown returns the variables that no setting reads.
func unknown(env map[string]string) []string {
	var list []string
	for name := range env {
		if !config.Known(name) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func channels() []string {
	var list []string
	for _, c := range models.Channels() {
		list = append(list, string(c))
	}
	return list
}

// checkContainers looks at images, Compose files and monitoring.
func checkContainers(t *testing.T, f *faults, r tree) {
	t.Helper()
	images := checkDockerfile(t, f, r)
	projects := map[string]*types.Project{
		"docker-compose.yml": checkCompose(t, f, r, images), "test/docker-compose.yml": checkTestCompose(t, f, r),
	}
	checkMonitoring(t, f, r, projects["docker-compose.yml"])
	checkDocuments(t, f, r, images, projects, nil)
	if !slices.Contains(strings.Split(r.read(t, ".gitignore"), "\n"), "/.env") {
		f.add(".gitignore: /.env could be committed")
	}
}

func TestAllAgrees(t *testing.T) {
	t.Parallel()
	var f faults
	r := newTree(t)
	checkContainers(t, &f, r)
	checkDocuments(t, &f, r, nil, nil, checkKubernetes(t, &f, r))
	for _, fault := range f {
		t.Error(fault)
	}
}
