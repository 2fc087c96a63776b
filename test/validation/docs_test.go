package validation_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"messaging-worker/internal/config"
)

const root = "../.."

// files returns the project's files whose names end in suffix, by path.
func files(t *testing.T, suffix string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, suffix):
			return nil
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(root, name)
		texts[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil || len(texts) == 0 {
		t.Fatalf("%d files *%s: %v", len(texts), suffix, err)
	}
	return texts
}

// pages returns the Markdown files whose paths begin with one of these.
func pages(t *testing.T, prefixes ...string) map[string]string {
	t.Helper()
	found := files(t, ".md")
	maps.DeleteFunc(found, func(name, _ string) bool {
		return !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
	return found
}

// documents returns the pages for users, operators and maintainers.
func documents(t *testing.T) map[string]string {
	t.Helper()
	return pages(t, "README.md", "CONTRIBUTING.md", "docs/")
}

// A document that names a test names one that exists.
func TestDocumentsNameRealTests(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, text := range files(t, "_test.go") {
		for _, m := range function.FindAllStringSubmatch(text, -1) {
			there[m[1]] = true
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
	for document, text := range files(t, ".md") {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !there[m[1]] {
				t.Errorf("%s names %s, which does not exist", document, m[1])
			}
		}
	}
}

// A document that names a setting names one that exists.
func TestDocumentsNameRealSettings(t *testing.T) {
	t.Parallel()
	// Of Kafka, of Go's and OpenTelemetry's own, of the build and the tests.
	others := regexp.MustCompile(`^(SASL_\w+|NOT_ENOUGH_REPLICAS|MSG_MAX_BYTES|GO_VERSION|OTEL_\w+|CHAOS_\w+|KAFKA_TEST_BROKERS|\w+_X|X_FILE|(EMAIL|SMS|WHATSAPP)_KAFKA_\w+)$`)
	named, n := regexp.MustCompile("`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`"), 0
	for document, text := range documents(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			n++
			if !config.Known(m[1]) && !others.MatchString(m[1]) {
				t.Errorf("%s names %s, which is not a setting", document, m[1])
			}
		}
	}
	if n == 0 {
		t.Error("the documents name no setting")
	}
}

// A link of a document leads to a file, and to a heading in it.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all, n := files(t, ".md"), 0
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for document, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			n++
			target, heading, _ := strings.Cut(m[1], "#")
			target = path.Join(path.Dir(document), target)
			if strings.HasPrefix(m[1], "#") {
				target = document
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", document, m[1])
			} else if heading != "" && !slices.Contains(headings(all[target]), heading) {
				t.Errorf("%s links to %s: there is no such heading", document, m[1])
			}
		}
	}
	if n == 0 {
		t.Error("the documents have no links")
	}
}

// headings returns the anchors that GitHub gives to a page's headings.
func headings(page string) []string {
	var anchors []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		anchor := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		anchors = append(anchors, regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(anchor, ""))
	}
	return anchors
}
