package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// documents are the pages that people read, by name.
func (r tree) documents(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, file := range []string{"README.md", "CONTRIBUTING.md"} {
		pages[file] = r.read(t, file)
	}
	files, err := filepath.Glob(r.path("docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := "docs/" + filepath.Base(file)
		pages[name] = r.read(t, name)
	}
	return pages
}

// states adds a fault where no paragraph, row or item of the documents has all
// of these words: a name, and the values that belong to it.
func (f *faults) states(t *testing.T, r tree, words ...any) {
	t.Helper()
	for _, page := range r.documents(t) {
		for _, paragraph := range regexp.MustCompile(`\n\s*(?:\n|[-*|] ?)`).Split(page, -1) {
			if !slices.ContainsFunc(words, func(word any) bool { return !hasWord(paragraph, fmt.Sprint(word)) }) {
				return
			}
		}
	}
	f.add("documents: no paragraph states %v together", words)
}

func hasWord(text, word string) bool {
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(word) + `\b`).MatchString(text)
}

// checkDocuments holds the commands and names of the documents against what
// there is; images, projects or secrets may be nil, when they are not what is
// asked about.
func checkDocuments(t *testing.T, f *faults, r tree, images map[string]image, projects map[string]*types.Project, secrets secretKeys) {
	t.Helper()
	pages := r.documents(t)
	shown, created := map[string]bool{}, secretKeys{}
	for _, text := range pages {
		for _, line := range commandLines(text) {
			shown[line] = true
			secretCommand(line, created)
		}
	}
	for _, file := range []string{"Dockerfile", "docker-compose.yml", "test/docker-compose.yml", "deploy/kubernetes/example/kustomization.yaml"} {
		pages[file] = r.read(t, file) // their comments show commands too
	}
	for file, text := range pages {
		checkNames(f, r, file, text, images)
		for _, line := range commandLines(text) {
			if rest, ok := strings.CutPrefix(line, "docker compose "); ok && projects != nil {
				checkComposeCommand(f, projects, file, strings.Fields(rest))
			}
		}
	}
	if projects != nil {
		checkPorts(t, f, r, projects)
	}
	for _, promised := range promisedCommands() {
		if !shown[promised] {
			f.add("documents: none shows %s", promised)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		f.same("documents: keys of secret "+name, slices.Sorted(maps.Keys(created[name])), slices.Sorted(maps.Keys(secrets[name])))
	}
}

// commandLines returns the lines of a text without what makes them comments or
// is commented behind them; a continued line is one.
func commandLines(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		line, _, _ = strings.Cut(strings.TrimLeft(line, "# "), " #")
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// checkNames wants scripts, build targets and kustomizations that a text names
// to be there.
func checkNames(f *faults, r tree, file, text string, images map[string]image) {
	for _, script := range regexp.MustCompile(`\bscripts/[\w-]+\.sh\b`).FindAllString(text, -1) {
		if info, err := os.Stat(r.path(script)); err != nil || info.Mode()&0o111 == 0 {
			f.add("%s: %s cannot be run", file, script)
		}
	}
	for _, m := range regexp.MustCompile(`--target (\S+)`).FindAllStringSubmatch(text, -1) {
		if _, ok := images[m[1]]; !ok && images != nil {
			f.add("%s: the Dockerfile has no target %s", file, m[1])
		}
	}
	for _, m := range regexp.MustCompile(`kubectl \w+ -k (\S+)`).FindAllStringSubmatch(text, -1) {
		if !r.exists(m[1] + "/kustomization.yaml") {
			f.add("%s: there is no %s", file, m[1])
		}
	}
}

// checkPorts holds the addresses that documents name against those that are
// published, and the other way round.
func checkPorts(t *testing.T, f *faults, r tree, projects map[string]*types.Project) {
	t.Helper()
	pages := r.documents(t)
	all := strings.Join(slices.Collect(maps.Values(pages)), "\n")
	published := map[string]bool{}
	for file, p := range projects {
		if p == nil {
			return // reported already
		}
		for _, s := range p.Services {
			for _, port := range s.Ports {
				published[port.Published] = true
				if !hasWord(all, port.Published) {
					f.add("documents: none names port %s of %s in %s", port.Published, s.Name, file)
				}
			}
		}
	}
	for file, text := range pages {
		if !strings.Contains(text, "docker compose ") {
			continue // it speaks of other ports
		}
		for _, m := range regexp.MustCompile(`localhost:(\d+)`).FindAllStringSubmatch(text, -1) {
			if !published[m[1]] {
				f.add("%s: nothing listens on localhost:%s", file, m[1])
			}
		}
	}
}

// promisedCommands bring everything up, and may not change their names.
func promisedCommands() []string {
	return []string{
		"docker compose up -d kafka-1 kafka-2 kafka-3",
		"docker compose run --rm kafka-init",
		"docker compose up -d kafka-ui",
		"docker compose up --build email-worker sms-worker whatsapp-worker",
	}
}

// secretCommand notes what a kubectl create secret command creates.
func secretCommand(line string, created secretKeys) {
	m := regexp.MustCompile(`kubectl .*create secret generic (\S+) (.*)`).FindStringSubmatch(line)
	if m == nil {
		return
	}
	for _, key := range regexp.MustCompile(`--from-(?:file|literal)=([^=\s]+)`).FindAllStringSubmatch(m[2], -1) {
		created.need(m[1], key[1])
	}
}

func checkComposeCommand(f *faults, projects map[string]*types.Project, where string, args []string) {
	file, command := "docker-compose.yml", ""
	var names []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-f":
			i++
			file = args[i]
		case a == "--profile":
			i++
			names = append(names, "profile "+args[i])
		case a == "--scale":
			i++
			name, _, _ := strings.Cut(args[i], "=")
			names = append(names, name)
		case strings.HasPrefix(a, "-"):
		case command == "":
			command = a
		case command != "run" && command != "exec" || len(names) == 0:
			names = append(names, a)
		}
	}
	p, ok := projects[file]
	if p == nil {
		if !ok {
			f.add("%s: there is no %s", where, file)
		}
		return
	}
	known := []string{"up", "run", "down", "logs", "config", "build", "ps", "exec", "stop"}
	if !slices.Contains(known, command) {
		f.add("%s: docker compose has no %q that this test knows", where, command)
	}
	for _, name := range names {
		profile, isProfile := strings.CutPrefix(name, "profile ")
		_, ok := p.Services[name]
		if isProfile {
			ok = slices.ContainsFunc(slices.Collect(maps.Values(p.Services)), func(s types.ServiceConfig) bool { return slices.Contains(s.Profiles, profile) })
		}
		if !ok {
			f.add("%s: docker compose %s: %s has no %s", where, strings.Join(args, " "), file, name)
		}
	}
}
