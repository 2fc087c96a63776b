package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// module is a dependency and where its source lies.
type module struct {
	path, version, dir string
	linked             bool // in a binary, and not in tests alone
}

// family is a licence that the project may take in, and the phrases that tell
// it. A text may hold several.
type family struct {
	name string
	has  []string
	not  []string
}

func families() []family {
	const redistribution = "redistribution and use in source and binary forms"
	return []family{
		{"Apache-2.0", []string{"apache license", "version 2.0"}, nil},
		{"BSD-2-Clause", []string{redistribution}, []string{"endorse or promote"}},
		{"BSD-3-Clause", []string{redistribution, "endorse or promote"}, nil},
		{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"}, nil},
		{"MIT", []string{"permission is hereby granted, free of charge"}, nil},
		{"MPL-2.0", []string{"mozilla public license", "2.0"}, nil},
	}
}

// classify names the licences in a text, or returns "" where it knows none or
// there is one that binds whoever links it.
func classify(text string) string {
	plain := strings.ToLower(strings.Join(strings.Fields(text), " "))
	if strings.Contains(plain, "gnu general public license") && !strings.Contains(plain, "mozilla public license") ||
		strings.Contains(plain, "gnu affero") && !strings.Contains(plain, "mozilla public license") {
		return ""
	}
	in := func(phrase string) bool { return strings.Contains(plain, phrase) }
	var names []string
	for _, f := range families() {
		if all := !slices.ContainsFunc(f.has, func(p string) bool { return !in(p) }); all && !slices.ContainsFunc(f.not, in) {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

// texts returns the licence texts at the root of a module, notices included.
func (m module) texts() ([]byte, error) {
	var all bytes.Buffer
	for _, pattern := range []string{"LICEN[CS]E*", "COPYING*", "NOTICE*"} {
		files, err := filepath.Glob(filepath.Join(m.dir, pattern))
		if err != nil {
			return nil, fmt.Errorf("list licences: %w", err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && info.IsDir() {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read licence of %s: %w", m.path, err)
			}
			all.Write(append(bytes.TrimSpace(text), "\n\n"...))
		}
	}
	if all.Len() == 0 {
		return nil, fmt.Errorf("%s %s has no licence file", m.path, m.version)
	}
	return all.Bytes(), nil
}

// modules lists the modules of which a package is used, by path.
func modules() ([]module, error) {
	found := map[string]module{}
	for _, p := range platforms() {
		for _, what := range []struct {
			linked bool
			args   []string
		}{{false, []string{"-test", "./..."}}, {true, []string{"./cmd/..."}}} {
			args := append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}} {{.Dir}}{{end}}"}, what.args...)
			out, err := output(p.env(), "go", args...)
			if err != nil {
				return nil, err
			}
			for line := range strings.Lines(out) {
				if f := strings.Fields(line); len(f) == 3 { // our own has no version
					found[f[0]] = module{f[0], f[1], f[2], what.linked || found[f[0]].linked}
				}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b module) int { return strings.Compare(a.path, b.path) }), nil
}

// table writes the document.
func table() ([]byte, error) {
	list, err := modules()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# Licences\n\nWhat the project is built of, written by `make licences`; `make verify` says when it is out of date. A release has the texts in `THIRD_PARTY_LICENSES.txt`. Beside these, the Go standard library: BSD-3-Clause.\n")
	for _, part := range []struct {
		title  string
		linked bool
	}{{"In the binaries", true}, {"In tests and benchmarks alone", false}} {
		fmt.Fprintf(&b, "\n## %s\n\n| module | version | licence |\n|---|---|---|\n", part.title)
		for _, m := range list {
			if m.linked != part.linked {
				continue
			}
			text, err := m.texts()
			if err != nil {
				return nil, err
			}
			licence := classify(string(text))
			if licence == "" {
				return nil, fmt.Errorf("%s %s has a licence that nobody has looked at: decide, and add it to tools/supply/licences.go", m.path, m.version)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m.path, m.version, licence)
		}
	}
	return b.Bytes(), nil
}

func document() string { return inRoot("docs", "licences.md") }

func writeTable() error {
	b, err := table()
	if err != nil {
		return err
	}
	if err := os.WriteFile(document(), b, 0o644); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func checkTable() error {
	b, err := table()
	if err != nil {
		return err
	}
	if there, err := os.ReadFile(document()); err != nil || !bytes.Equal(there, b) {
		return errors.Join(err, errors.New("docs/licences.md is out of date: run make licences"))
	}
	return nil
}

// thirdParty returns the licence texts of all that is in the binaries.
func thirdParty() ([]byte, error) {
	list, err := modules()
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(m module) bool { return !m.linked })
	goenv, err := output(nil, "go", "env", "GOVERSION", "GOROOT")
	if err != nil {
		return nil, err
	}
	version, goroot, _ := strings.Cut(strings.TrimSpace(goenv), "\n")
	list = append([]module{{"Go standard library", version, goroot, true}}, list...)
	var b bytes.Buffer
	for _, m := range list {
		text, err := m.texts()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "==== %s %s\n\n%s", m.path, m.version, text)
	}
	return b.Bytes(), nil
}
