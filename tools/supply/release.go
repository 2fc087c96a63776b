package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// platform is what a release is built for.
type platform struct{ os, arch string }

func platforms() []platform {
	return []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}}
}

func (p platform) env() []string {
	return []string{"GOOS=" + p.os, "GOARCH=" + p.arch, "CGO_ENABLED=0", "GOFLAGS="}
}

func commands() []string { return []string{"email-worker", "msgctl", "sms-worker", "whatsapp-worker"} }

// file is one member of an archive.
type file struct {
	name string
	mode int64
	data []byte
}

// release builds an archive for each platform, and their sums, into dist. The
// same commit, version and Go release give the same bytes.
func release(version string) error {
	at, err := moment()
	if err != nil {
		return err
	}
	common, err := papers()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(inRoot("dist"), 0o755); err != nil {
		return fmt.Errorf("make dist: %w", err)
	}
	var sums strings.Builder
	for _, p := range platforms() {
		name := fmt.Sprintf("messaging-worker-%s-%s-%s", version, p.os, p.arch)
		binaries, err := build(p, version)
		if err != nil {
			return err
		}
		archive, err := pack(name, at, append(binaries, common...))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s.tar.gz\n", sha256.Sum256(archive), name)
		if err := os.WriteFile(inRoot("dist", name+".tar.gz"), archive, 0o644); err != nil {
			return fmt.Errorf("write archive: %w", err)
		}
	}
	fmt.Print(sums.String())
	if err := os.WriteFile(inRoot("dist", "SHA256SUMS"), []byte(sums.String()), 0o644); err != nil {
		return fmt.Errorf("write sums: %w", err)
	}
	return nil
}

// moment is the time that all members of an archive bear: SOURCE_DATE_EPOCH,
// or that of the commit.
func moment() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := output(nil, "git", "log", "-1", "--format=%ct")
		if err != nil {
			return time.Time{}, err
		}
		text = strings.TrimSpace(out)
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// papers are what goes into every archive beside the binaries.
func papers() ([]file, error) {
	third, err := thirdParty()
	if err != nil {
		return nil, err
	}
	texts, err := documents()
	return append([]file{{"THIRD_PARTY_LICENSES.txt", 0o644, third}}, texts...), err
}

// documents are the settings' example, the licence, and the pages that tell how
// to use what is in the archive, by the paths that their links name.
func documents() ([]file, error) {
	names := []string{".env.example", "LICENSE", "README.md"}
	for _, pages := range []string{"docs/*.md", "docs/decisions/*.md"} {
		paths, err := fs.Glob(os.DirFS(inRoot()), pages)
		if err != nil {
			return nil, fmt.Errorf("list documents: %w", err)
		}
		names = append(names, paths...)
	}
	list := make([]file, 0, len(names))
	for _, name := range names {
		data, err := os.ReadFile(inRoot(name))
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		list = append(list, file{name, 0o644, data})
	}
	return list, nil
}

// build compiles the commands. Neither paths nor the state of the checkout get
// into them; the version says what they are.
func build(p platform, version string) ([]file, error) {
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	ldflags := "-s -w -X messaging-worker/internal/app.version=" + version
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", dir + string(filepath.Separator)}
	for _, name := range commands() {
		args = append(args, "./cmd/"+name)
	}
	if _, err := output(p.env(), "go", args...); err != nil {
		return nil, err
	}
	var list []file
	for _, name := range commands() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("read binary: %w", err)
		}
		list = append(list, file{name, 0o755, data})
	}
	return list, nil
}

// pack makes a tar.gz that depends on its arguments alone.
func pack(folder string, at time.Time, files []file) ([]byte, error) {
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	archive := tar.NewWriter(zip)
	for _, f := range files {
		h := &tar.Header{Name: folder + "/" + f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: at, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
		if _, err := archive.Write(f.data); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return b.Bytes(), nil
}
