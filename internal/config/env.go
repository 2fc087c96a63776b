package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/joho/godotenv"
)

// Environment returns the variables that settings are read from: those of the
// process, and where it has none, those of a file. An empty path means .env
// in the working directory, which may be absent; a file that is named must
// exist. The warnings name the variables of the file that no setting reads.
func Environment(path string) (Lookup, []string, error) {
	named := path != ""
	if !named {
		path = ".env"
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return os.LookupEnv, nil, nil
	case err != nil:
		return nil, nil, &Error{Problems: []string{fmt.Sprintf("--env-file: %v", err)}}
	}
	values, err := godotenv.UnmarshalBytes(data)
	if err != nil {
		// The parser's own text quotes the line, which may hold a secret.
		return nil, nil, &Error{Problems: []string{path + ": is not a list of NAME=value lines"}}
	}
	var warnings []string
	for name := range values {
		if !Known(name) {
			warnings = append(warnings, fmt.Sprintf("%s: %s is not a setting", path, name))
		}
	}
	slices.Sort(warnings)
	for name, value := range values {
		if _, set := os.LookupEnv(name); !set && strings.HasPrefix(name, "OTEL_") {
			// The OpenTelemetry SDK reads these by itself, and no file.
			if err := os.Setenv(name, value); err != nil {
				return nil, nil, &Error{Problems: []string{fmt.Sprintf("%s: %s: %v", path, name, err)}}
			}
		}
	}
	return func(name string) (string, bool) {
		if value, ok := os.LookupEnv(name); ok {
			return value, true
		}
		value, ok := values[name]
		return value, ok
	}, warnings, nil
}

// Known reports whether some setting reads the variable.
func Known(name string) bool {
	if strings.HasPrefix(name, "OTEL_") {
		return true // the standard's own variables, read by its library
	}
	for _, s := range table(&Config{}) {
		for _, row := range s.rows {
			if reads(row, name) {
				return true
			}
		}
	}
	return false
}

func reads(row setting, name string) bool {
	if row.secret != nil {
		name = strings.TrimSuffix(name, "_FILE")
	}
	if name == row.name {
		return true
	}
	if row.fixed {
		return false
	}
	for _, channel := range channelNames() {
		if name == channel+"_"+row.name {
			return true
		}
	}
	return false
}

// Names lists every setting, in the order of the table.
func Names() []string {
	var names []string
	for _, s := range table(&Config{}) {
		for _, row := range s.rows {
			names = append(names, row.name)
		}
	}
	return names
}
