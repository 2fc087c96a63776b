package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Environment returns the variables that settings are read from: those of the
// process, and where it has none, those of a file. An empty path means .env
// in the working directory, which may be absent; a file that is named must
// exist. The warnings are about the variables of the file that no setting reads.
// Neither they nor the error, an *Error that has the line of each mistake in
// the file, quote what may be a value. With such an error there is
// also a Lookup of all that could be read, so that the settings' problems can be
// reported together with it.
func Environment(path string) (Lookup, []string, error) {
	origin, warnings, err := Origins(path)
	if origin == nil {
		return nil, nil, err
	}
	return origin.Lookup, warnings, err
}

// Origin returns a variable's value and where it was set: "environment" or the
// path of a file, and nothing where it was not.
type Origin func(name string) (value, from string)

// Lookup is the same without telling where.
func (o Origin) Lookup(name string) (string, bool) {
	value, from := o(name)
	return value, from != ""
}

// inEnvironment is the origin of a variable of the process.
const inEnvironment = "environment"

// ofProcess is the origin of settings where there is no file.
func ofProcess(name string) (value, from string) {
	if value, ok := os.LookupEnv(name); ok {
		return value, inEnvironment
	}
	return "", ""
}

// Origins is Environment for a caller that shows where a setting came from.
func Origins(path string) (Origin, []string, error) {
	named := path != ""
	if !named {
		path = ".env"
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return ofProcess, nil, nil
	case err != nil:
		return nil, nil, &Error{Problems: []string{fmt.Sprintf("--env-file: %v", err)}}
	}
	file := readEnvFile(path, data)
	if len(file.mistakes) > 0 {
		err = &Error{Problems: file.mistakes}
	}
	values, warnings := file.values, file.unknown()
	given := map[string]bool{} // to the process by us
	for name, value := range values {
		if _, set := os.LookupEnv(name); !set && strings.HasPrefix(name, "OTEL_") {
			// The OpenTelemetry SDK reads these by itself, and no file.
			if err := os.Setenv(name, value); err != nil {
				return nil, nil, &Error{Problems: []string{fmt.Sprintf("%s: %s: %v", path, name, err)}}
			}
			given[name] = true
		}
	}
	return func(name string) (string, string) {
		value, ok := os.LookupEnv(name)
		if ok && !given[name] {
			return value, inEnvironment
		}
		if value, ok = values[name]; ok {
			return value, path
		}
		return "", ""
	}, warnings, err
}

// literal makes the parser take every $ for what it is. By itself it puts other
// variables of the file in, and nothing for those that are not there: of a
// password "Pa$W0RD" it would leave "Pa". Between single quotes it does not.
func literal(data []byte) []byte {
	out := make([]byte, 0, len(data)+16)
	single := false // in a value between single quotes
	for line := range bytes.Lines(data) {
		value := line
		if at := bytes.IndexAny(line, "=:"); !single && at >= 0 && bytes.TrimSpace(line)[0] != '#' {
			value = bytes.TrimLeft(line[at+1:], " \t")
			value, single = bytes.CutPrefix(value, []byte{'\''})
		}
		if single {
			single = bytes.IndexByte(value, '\'') < 0
			out = append(out, line...)
			continue
		}
		before := byte(0)
		for _, c := range line {
			if c == '$' && before != '\\' {
				out = append(out, '\\')
			}
			out, before = append(out, c), c
		}
	}
	return out
}

// Known reports whether some setting reads the variable.
func Known(name string) bool {
	if strings.HasPrefix(name, "OTEL_") {
		return true // the standard's own variables, read by its library
	}
	return slices.ContainsFunc(table(&Config{}), func(row setting) bool { return reads(row, name) })
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
	for _, row := range table(&Config{}) {
		names = append(names, row.name)
	}
	return names
}
