package deploy_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// checkDocuments holds the commands of the documents against what there is;
// images, projects or secrets may be nil, when they are not what is asked about.
func checkDocuments(t *testing.T, f *faults, r tree, images map[string]image, projects map[string]*types.Project, secrets secretKeys) {
	t.Helper()
	commands, created := 0, secretKeys{}
	for _, file := range []string{"README.md", "docs/deploy.md", "docs/operations.md", "docs/scaling.md", "Dockerfile", "docker-compose.yml", "test/docker-compose.yml", "deploy/kubernetes/example/kustomization.yaml"} {
		text := strings.ReplaceAll(r.read(t, file), "\\\n", " ")
		for line := range strings.SplitSeq(text, "\n") {
			line, _, _ = strings.Cut(strings.TrimLeft(line, "# "), " #")
			if rest, ok := strings.CutPrefix(line, "docker compose "); ok && projects != nil {
				commands++
				checkComposeCommand(f, projects, file, strings.Fields(rest))
			}
			secretCommand(line, created)
		}
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
		for _, m := range regexp.MustCompile(`\]\((?:\.\./)?((?:deploy|docs)/[^)#]+|Dockerfile|docker-compose\.yml)(?:#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
			if !r.exists(m[1]) {
				f.add("%s: links to %s, which is not there", file, m[1])
			}
		}
	}
	if projects != nil {
		checkPorts(t, f, r, projects)
	}
	for _, promised := range promisedCommands() {
		if !strings.Contains(r.read(t, "docs/deploy.md"), promised+"\n") {
			f.add("docs/deploy.md: does not show %s", promised)
		}
	}
	if commands < 10 && projects != nil {
		f.add("only %d docker compose commands were found", commands)
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		f.same("docs/deploy.md: keys of secret "+name, slices.Sorted(maps.Keys(created[name])), slices.Sorted(maps.Keys(secrets[name])))
	}
}

// checkPorts holds the addresses that documents name against those that are
// published, and the other way round.
func checkPorts(t *testing.T, f *faults, r tree, projects map[string]*types.Project) {
	t.Helper()
	published := map[string]bool{}
	for file, p := range projects {
		if p == nil {
			return // told already
		}
		for _, s := range p.Services {
			for _, port := range s.Ports {
				published[port.Published] = true
				if !regexp.MustCompile(`\b` + port.Published + `\b`).MatchString(r.read(t, "docs/deploy.md")) {
					f.add("docs/deploy.md: does not name port %s of %s in %s", port.Published, s.Name, file)
				}
			}
		}
	}
	for _, file := range []string{"README.md", "docs/deploy.md"} {
		for _, m := range regexp.MustCompile(`localhost:(\d+)`).FindAllStringSubmatch(r.read(t, file), -1) {
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
