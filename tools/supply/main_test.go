package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"MIT", "Permission is hereby granted,\n free of charge, to any person", "MIT"},
		{"BSD of two clauses", "Redistribution and use in source and binary forms", "BSD-2-Clause"},
		{"BSD of three", "Redistribution and use in source\nand binary forms ... be used to endorse or promote products", "BSD-3-Clause"},
		{"two in one file", "Apache License Version 2.0 ... Permission is hereby granted, free of charge", "Apache-2.0, MIT"},
		{"a copyleft licence", "GNU GENERAL PUBLIC LICENSE Version 3", ""},
		{"a copyleft licence beside another", "GNU General Public License ... Permission is hereby granted, free of charge", ""},
		{"Mozilla's, which speaks of it", "Mozilla Public License, version 2.0 ... the GNU General Public License", "MPL-2.0"},
		{"nothing known", "All rights reserved.", ""},
	}
	for _, tt := range tests {
		if got := classify(tt.text); got != tt.want {
			t.Errorf("%s: classify = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPackIsReproducible(t *testing.T) {
	t.Parallel()
	files := []file{{"worker", 0o755, []byte(strings.Repeat("x", 5000))}, {"LICENSE", 0o644, []byte("text")}}
	at := time.Unix(1760607000, 0)
	one, err := pack("v1", at, files)
	if err != nil {
		t.Fatal(err)
	}
	two, err := pack("v1", at.In(time.FixedZone("elsewhere", 3600)), files)
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("two archives of the same differ (%v)", err)
	}
}

// An archive holds the pages of docs/ that its README sends its reader to.
func TestArchivesHoldWhatTheReadmeNames(t *testing.T) {
	t.Parallel()
	files, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var readme []byte
	for _, f := range files {
		names = append(names, f.name)
		if f.name == "README.md" {
			readme = f.data
		}
	}
	links := regexp.MustCompile(`\]\((docs/[\w/-]+\.md)`).FindAllSubmatch(readme, -1)
	if len(links) == 0 {
		t.Fatal("the README names no page of docs/")
	}
	for _, link := range links {
		if !slices.Contains(names, string(link[1])) {
			t.Errorf("the README names %s, which is not in the archive", link[1])
		}
	}
	if !slices.Contains(names, "docs/decisions/0001-own-breaker.md") {
		t.Error("the archive has no decisions")
	}
}
