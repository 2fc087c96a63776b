package config

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/joho/godotenv"
)

// envFile is what a file of NAME=value lines says.
type envFile struct {
	path     string
	values   map[string]string
	lines    map[string]int // where each name is set, the last time
	mistakes []string       // with their line; none quotes what may be a value
}

// byteOrderMark is what editors on Windows put in front of UTF-8.
const byteOrderMark = "\uFEFF"

// readEnvFile reads the file assignment by assignment, so that a mistake has a
// line and hides none behind it. What a value means is the library's to say;
// its errors are not passed on, because they quote the file.
func readEnvFile(path string, data []byte) *envFile {
	f := &envFile{path: path, values: map[string]string{}, lines: map[string]int{}}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if bytes.IndexByte(data, 0) >= 0 {
		f.mistake(1+bytes.Count(data[:bytes.IndexByte(data, 0)], []byte("\n")), "a zero byte: save the file as UTF-8")
		return f
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	for line := 1; len(data) > 0; {
		n := f.take(data, line)
		line += bytes.Count(data[:n], []byte("\n"))
		data = data[n:]
	}
	return f
}

func (f *envFile) mistake(line int, text string) {
	f.mistakes = append(f.mistakes, fmt.Sprintf("%s: line %d: %s", f.path, line, text))
}

// take reads what begins on a line, and returns how much of data that was.
func (f *envFile) take(data []byte, line int) int {
	first := lineOf(data)
	text := bytes.TrimSpace(first)
	if len(text) == 0 || text[0] == '#' {
		return len(first)
	}
	at := bytes.IndexAny(first, "=:")
	if at < 0 {
		f.mistake(line, shownName(text)+"no = behind the name")
		return len(first)
	}
	name, ok := nameOf(first[:at])
	if !ok {
		f.mistake(line, shownName(text)+"want NAME=value, the name of letters, digits and _")
		return len(first)
	}
	n, trouble := endOfValue(data, at+1)
	if trouble != "" {
		f.mistake(line, shownName([]byte(name))+trouble)
		return n
	}
	values, err := godotenv.UnmarshalBytes(literal(data[:n]))
	value, found := values[name]
	if err != nil || !found || len(values) != 1 {
		f.mistake(line, shownName([]byte(name))+"want NAME=value")
		return n
	}
	f.values[name], f.lines[name] = value, line
	return n
}

// lineOf returns the first line of data, its end included.
func lineOf(data []byte) []byte {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return data[:i+1]
	}
	return data
}

var validName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// nameOf returns the name in front of an = without the word export.
func nameOf(text []byte) (string, bool) {
	name := strings.TrimSpace(string(text))
	if rest, ok := strings.CutPrefix(name, "export"); ok && rest != strings.TrimSpace(rest) {
		name = strings.TrimSpace(rest)
	}
	return name, validName.MatchString(name)
}

// endOfValue returns where the line ends that a value ends on, which begins
// somewhere behind at, and what is wrong with its quotes. Where they are not
// closed it is the end of the value's first line, so that all that follows is
// read too.
func endOfValue(data []byte, at int) (end int, trouble string) {
	first := len(lineOf(data))
	value := bytes.TrimLeft(data[at:first], " \t\v\f")
	if len(value) == 0 || value[0] != '"' && value[0] != '\'' {
		return first, ""
	}
	open := first - len(value)
	for i := open + 1; i < len(data); i++ {
		if data[i] != data[open] || data[i-1] == '\\' {
			continue
		}
		rest := lineOf(data[i+1:])
		if behind := bytes.TrimSpace(rest); len(behind) > 0 && behind[0] != '#' {
			return i + 1 + len(rest), "text behind the closing quote"
		}
		return i + 1 + len(rest), ""
	}
	return first, "the quote that opens the value is not closed"
}

// shownName returns "NAME: " where a line begins with the name of a setting,
// and nothing where it may be anything.
func shownName(line []byte) string {
	fields := strings.Fields(strings.TrimPrefix(string(line), "export "))
	if len(fields) == 0 {
		return ""
	}
	name := strings.TrimRight(fields[0], "=:")
	if strings.HasPrefix(name, "OTEL_") || !Known(name) {
		return ""
	}
	return name + ": "
}

var (
	likeAName = regexp.MustCompile(`^([A-Z][A-Z0-9]*(_[A-Z0-9]+)*|[a-z]+(_[a-z]+)+)$`)
	likeAKey  = regexp.MustCompile(`[0-9][A-Z]|[A-Z0-9]{17}`)
)

// unknown returns a warning for each name that no setting has.
func (f *envFile) unknown() []string {
	var warnings []string
	for name := range f.values {
		if !Known(name) {
			warnings = append(warnings, f.path+": "+noSetting(name, f.lines[name]))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// noSetting is the warning for a name that no setting has. A value without a
// name may look like one, with the padding of base64 for its =, and so does a
// value that is glued to the name of its secret: these are not quoted.
func noSetting(name string, line int) string {
	quoted := likeAName.MatchString(name) && !likeAKey.MatchString(name)
	for _, row := range table(&Config{}) {
		quoted = quoted && (row.secret == nil || !strings.Contains(name, row.name))
	}
	if !quoted {
		return fmt.Sprintf("line %d sets what is not a setting (names look like MAX_ATTEMPTS)", line)
	}
	return fmt.Sprintf("%s is not a setting (line %d)", name, line)
}
