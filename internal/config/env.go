package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Origin returns a variable's value and where it was set: "environment" or the
// path of a file, and nothing where it was not.
type Origin func(name string) (value, from string)

// Lookup is the same without telling where.
func (o Origin) Lookup(name string) (string, bool) {
	value, from := o(name)
	return value, from != ""
}

// Environment returns the variables that settings are read from: those of the
// process, and where it has none, those of a file. An empty path means .env
// in the working directory, which may be absent; a file that is named must
// exist. The warnings are about the variables of the file that no setting reads.
// Neither they nor the error, an *Error that has the line of each mistake in
// the file, quote what may be a value. With such an error there is
// also an Origin of all that could be read, so that the settings' problems can be
// reported together with it.
func Environment(path string) (Origin, []string, error) {
	named := path != ""
	path = cmp.Or(path, ".env")
	data, err := os.ReadFile(path)
	if err != nil && (named || !errors.Is(err, fs.ErrNotExist)) {
		return nil, nil, &Error{Problems: []string{fmt.Sprintf("--env-file: %v", err)}}
	}
	file, err := readEnvFile(path, string(data))
	warnings := file.unknown()
	for name, value := range file.values {
		if _, set := os.LookupEnv(name); set {
			delete(file.values, name)
		} else if strings.HasPrefix(name, "OTEL_") {
			// The OpenTelemetry SDK reads these by itself, and no file.
			if err := os.Setenv(name, value); err != nil {
				return nil, nil, &Error{Problems: []string{fmt.Sprintf("%s: %s: %v", path, name, err)}}
			}
		}
	}
	return func(name string) (string, string) {
		if value, ok := file.values[name]; ok {
			return value, path
		}
		if value, ok := os.LookupEnv(name); ok {
			return value, "environment"
		}
		return "", ""
	}, warnings, err
}

// Known reports whether some setting reads the variable.
func Known(name string) bool {
	if strings.HasPrefix(name, "OTEL_") {
		return true // the standard's own variables, read by its library
	}
	c := &Config{}
	rows := slices.Concat(table(c), laneRows(c, high), laneRows(c, bulk))
	return slices.ContainsFunc(rows, func(row setting) bool { return row.reads(name) })
}

// reads reports whether the variable sets the row for some channel.
func (row *setting) reads(name string) bool {
	if row.secret != nil {
		name = strings.TrimSuffix(name, "_FILE")
	}
	return slices.ContainsFunc(channelNames(), func(channel string) bool {
		return slices.Contains(row.variables(channel), name)
	})
}

// Names lists every setting, in the order of the table. The names of settings for
// one lane are not among them.
func Names() []string {
	var names []string
	for _, row := range table(&Config{}) {
		names = append(names, row.name)
	}
	return names
}
