// Command supply looks after what the service is made of and handed out as:
// the licences of its dependencies, and the archives of a release. Run it in
// its own folder; it needs the module cache and nothing else.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const root = "../.."

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: supply licences [-check] | supply release -version V")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	check := flags.Bool("check", false, "only say whether the table is current")
	version := flags.String("version", "", "version of the release")
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	switch {
	case args[0] == "licences" && *check:
		return checkTable()
	case args[0] == "licences":
		return writeTable()
	case args[0] == "release" && *version != "":
		return release(*version)
	default:
		return fmt.Errorf("%s: unknown, or without its -version", args[0])
	}
}

// output runs a command in the project's root and returns what it prints.
func output(env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %v: %w\n%s", name, args, err, stderr.String())
	}
	return string(out), nil
}

func inRoot(parts ...string) string { return filepath.Join(append([]string{root}, parts...)...) }
