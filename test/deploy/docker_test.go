package deploy_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"go/version"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// image is what the Dockerfile makes of one target, with what it takes over
// from the stages below it.
type image struct {
	base        string // the image of the lowest stage
	user        string
	dir         string
	files       map[string]string // by path in the image: where they come from
	sources     []string          // what it copies from the build context
	env         []string          // NAME=value
	names       map[string]bool   // ARG and ENV: what may be used in it
	entrypoint  []string
	healthcheck []string
	ports       []string
	labels      map[string]string
}

// checkDockerfile returns the images by target.
func checkDockerfile(t *testing.T, f *faults, r tree) map[string]image {
	t.Helper()
	images := map[string]image{}
	stages, args := parseDockerfile(t, f, r)
	ignored := ignoring(t, r)
	checkGo(t, f, r, args["GO_VERSION"])
	for _, s := range stages {
		if s.Platform != "" && s.Platform != "$BUILDPLATFORM" {
			f.add("Dockerfile: FROM --platform=%s", s.Platform)
		}
		images[s.Name] = stage(f, s, images, args, func(source string) {
			left, err := ignored.MatchesOrParentMatches(source)
			if err != nil || left || !r.exists(source) {
				f.add("Dockerfile: COPY %s: is not in the build context", source)
			}
		})
	}
	for _, channel := range channels() {
		checkWorkerImage(f, channel+"-worker", images)
	}
	for target, binary := range map[string]string{"msgctl": "/msgctl", "tools": "/usr/local/bin/msgctl"} {
		img := images[target]
		if img.user != "65532:65532" {
			f.add("Dockerfile: %s runs as %q", target, img.user)
		}
		f.same("Dockerfile: "+target+": binary", img.files[binary], "build:/out/msgctl")
		f.same("Dockerfile: "+target+": CA certificates", img.files[roots], "build:"+roots)
	}
	f.same("Dockerfile: msgctl: entrypoint", images["msgctl"].entrypoint, []string{"/msgctl"})
	for _, secret := range []string{".env", ".git", "deploy", "bin"} {
		if left, err := ignored.MatchesOrParentMatches(secret); err != nil || !left {
			f.add(".dockerignore: %s goes into the build", secret)
		}
	}
	return images
}

// goModules are the go.mod files: each names the same toolchain.
func goModules() []string {
	return []string{"go.mod", "tools/go.mod", "tools/supply/go.mod", "test/alerts/go.mod", "test/deploy/go.mod"}
}

// checkGo wants images to be built by the release that go.mod pins: the build
// has GOTOOLCHAIN=local, so it would not fetch that one by itself, and whoever
// runs make would test with another release than the one that is handed out.
func checkGo(t *testing.T, f *faults, r tree, image string) {
	t.Helper()
	for _, file := range goModules() {
		text := r.read(t, file)
		if goes := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(text); goes == nil || version.Compare("go"+image, "go"+goes[1]) < 0 {
			f.add("Dockerfile: Go %s is older than %s's %v", image, file, goes)
		}
		pinned := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindStringSubmatch(text)
		if pinned == nil {
			f.add("%s: pins no toolchain", file)
			continue
		}
		f.same("Dockerfile: Go, of which "+file+" pins a release,", image, pinned[1])
	}
}

// roots is where Go looks for the certificates of public CAs.
const roots = "/etc/ssl/certs/ca-certificates.crt"

func checkWorkerImage(f *faults, name string, images map[string]image) {
	img, ok := images[name]
	if !ok {
		f.add("Dockerfile: there is no target %s", name)
		return
	}
	f.same("Dockerfile: "+name+": base", img.base, "scratch")
	f.same("Dockerfile: "+name+": user", img.user, "65532:65532")
	f.same("Dockerfile: "+name+": entrypoint", img.entrypoint, []string{"/" + name})
	f.same("Dockerfile: "+name+": healthcheck", img.healthcheck, []string{"CMD", "/" + name, "--healthcheck"})
	f.same("Dockerfile: "+name+": binary", img.files["/"+name], "build:/out/"+name)
	f.same("Dockerfile: "+name+": ports", img.ports, []string{"8080"})
	f.same("Dockerfile: "+name+": title", img.labels["org.opencontainers.image.title"], name)
	if img.labels["org.opencontainers.image.version"] == "" || img.labels["org.opencontainers.image.revision"] == "" {
		f.add("Dockerfile: %s: version or revision is not labelled", name)
	}
	f.same("Dockerfile: "+name+": CA certificates", img.files[roots], "build:"+roots)
}

func parseDockerfile(t *testing.T, f *faults, r tree) ([]instructions.Stage, map[string]string) {
	t.Helper()
	ast, err := parser.Parse(strings.NewReader(r.read(t, "Dockerfile")))
	if err != nil {
		f.add("Dockerfile: %v", err)
		return nil, nil
	}
	for _, w := range ast.Warnings {
		f.add("Dockerfile: %s", w.Short)
	}
	stages, meta, err := instructions.Parse(ast.AST, nil)
	if err != nil {
		f.add("Dockerfile: %v", err)
	}
	args := map[string]string{}
	for _, m := range meta {
		for _, a := range m.Args {
			args[a.Key] = a.ValueString()
		}
	}
	return stages, args
}

func stage(f *faults, s instructions.Stage, images map[string]image, args map[string]string, source func(string)) image {
	base := os.Expand(s.BaseName, func(name string) string { return args[name] })
	img, known := images[base]
	if !known {
		img = image{base: base}
		if tag := regexp.MustCompile(`^[a-z/]+:\d[\w.-]+$`); base != "scratch" && !tag.MatchString(base) {
			f.add("Dockerfile: FROM %s: no version is pinned", base)
		}
	}
	img.files, img.labels, img.names = clone(img.files), clone(img.labels), clone(img.names)
	for _, c := range s.Commands {
		for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(fmt.Sprint(c), -1) {
			if !img.names[m[1]] {
				f.add("Dockerfile: %s: %s is used before an ARG of it", s.Name, m[1])
			}
		}
		apply(f, &img, c, images, source)
	}
	return img
}

func apply(f *faults, img *image, command instructions.Command, images map[string]image, source func(string)) {
	switch c := command.(type) {
	case *instructions.ArgCommand:
		for _, a := range c.Args {
			img.names[a.Key] = true
		}
	case *instructions.EnvCommand:
		for _, e := range c.Env {
			img.names[e.Key], img.env = true, append(img.env, e.String())
		}
	case *instructions.UserCommand:
		img.user = c.User
	case *instructions.WorkdirCommand:
		img.dir = c.Path
	case *instructions.EntrypointCommand:
		img.entrypoint = c.CmdLine
	case *instructions.HealthCheckCommand:
		img.healthcheck = c.Health.Test
	case *instructions.ExposeCommand:
		img.ports = append(img.ports, c.Ports...)
	case *instructions.LabelCommand:
		for _, l := range c.Labels {
			img.labels[l.Key] = strings.Trim(l.Value, `"`)
		}
	case *instructions.CopyCommand:
		if _, ok := images[c.From]; c.From != "" && !ok {
			f.add("Dockerfile: COPY --from=%s: there is no such stage", c.From)
		}
		for _, p := range c.SourcePaths {
			if c.From == "" {
				source(p)
				img.sources = append(img.sources, p)
			}
			img.files[path.Join("/", img.dir, strings.TrimPrefix(c.DestPath, "./"))] = c.From + ":" + p
			if path.IsAbs(c.DestPath) {
				delete(img.files, path.Join("/", img.dir, c.DestPath))
				img.files[c.DestPath] = c.From + ":" + p
			}
		}
	}
}

func clone[V any](m map[string]V) map[string]V {
	c := map[string]V{}
	maps.Copy(c, m)
	return c
}

func ignoring(t *testing.T, r tree) *patternmatcher.PatternMatcher {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(r.read(t, ".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The build of the Dockerfile works on what it copies and .dockerignore
// leaves: static binaries that know their version.
func TestDockerfileBuilds(t *testing.T) {
	t.Parallel()
	r, out := newTree(t), t.TempDir()
	stage := checkDockerfile(t, new(faults), r)["build"]
	build := regexp.MustCompile(`(?s)go build (.*?\./cmd/\.\.\.)`).FindStringSubmatch(r.read(t, "Dockerfile"))
	if build == nil {
		t.Fatal("the Dockerfile has no go build of ./cmd/...")
	}
	line := strings.NewReplacer("\\\n", " ", "${VERSION}", "1.2.3", "/out/", out+"/").Replace(build[1])
	cmd := exec.Command("bash", "-c", "go build "+line)
	cmd.Dir, cmd.Env = buildContext(t, r, stage.sources), append(os.Environ(), append(stage.env, "GOWORK=off")...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", line, err, text)
	}
	for _, name := range []string{"email-worker", "sms-worker", "whatsapp-worker", "msgctl"} {
		text, err := exec.Command(filepath.Join(out, name), "--version").CombinedOutput()
		if err != nil || !bytes.Contains(text, []byte(" 1.2.3")) {
			t.Errorf("%s --version: %v, %q, want version 1.2.3", name, err, text)
		}
		binary, err := elf.Open(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if libraries, err := binary.ImportedLibraries(); err != nil || len(libraries) > 0 {
			t.Errorf("%s needs %v (%v), want nothing: scratch has no libraries", name, libraries, err)
		}
		binary.Close()
	}
}

// buildContext copies what Docker would send to the build, of what it asks for.
func buildContext(t *testing.T, r tree, sources []string) string {
	t.Helper()
	dir, ignored := t.TempDir(), ignoring(t, r)
	for _, top := range sources {
		root, err := filepath.EvalSymlinks(r.path(top))
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel := filepath.ToSlash(filepath.Join(top, strings.TrimPrefix(p, root)))
			if left, err := ignored.MatchesOrParentMatches(rel); err != nil || left {
				return err
			}
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, rel)), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, rel), data, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
