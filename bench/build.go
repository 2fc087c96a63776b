package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// build is the folder of one revision's binaries.
type build string

func (b build) path(name string) string { return filepath.Join(string(b), name) }

// buildHere builds what stands in the working tree.
func buildHere(ctx context.Context, dir string) (build, error) {
	return compile(ctx, ".", filepath.Join(dir, "now"))
}

// buildRevision builds the workers of a revision from its own sources, with
// its own dependencies.
func buildRevision(ctx context.Context, dir, revision string) (build, error) {
	source := filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o750); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	archive := filepath.Join(dir, "source.tar")
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	export := exec.CommandContext(ctx, "git", "archive", "--output", archive, revision)
	export.Dir = string(top[:len(top)-1])
	if out, err := export.CombinedOutput(); err != nil {
		return "", fmt.Errorf("export %s: %w\n%s", revision, err, out)
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w\n%s", revision, err, out)
	}
	return compile(ctx, source, filepath.Join(dir, "before"))
}

// compile builds all commands of a source tree.
func compile(ctx context.Context, source, out string) (build, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", out+string(filepath.Separator), "messaging-worker/cmd/...")
	cmd.Dir = source
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the binaries: %w\n%s", err, text)
	}
	return build(out), nil
}
