package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
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
// line and hides none behind it. The error is an *Error of all of them.
func readEnvFile(path, data string) (*envFile, error) {
	f := &envFile{path: path, values: map[string]string{}, lines: map[string]int{}}
	data = strings.TrimPrefix(data, byteOrderMark)
	if before, _, found := strings.Cut(data, "\x00"); found {
		f.mistake(1+strings.Count(before, "\n"), "a zero byte: save the file as UTF-8")
		data = ""
	}
	data = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)
	for line := 1; data != ""; {
		n := f.take(data, line)
		line += strings.Count(data[:n], "\n")
		data = data[n:]
	}
	if len(f.mistakes) > 0 {
		return f, &Error{Problems: f.mistakes}
	}
	return f, nil
}

func (f *envFile) mistake(line int, text string) {
	f.mistakes = append(f.mistakes, fmt.Sprintf("%s: line %d: %s", f.path, line, text))
}

// take reads what begins on a line, and returns how much of data that was.
func (f *envFile) take(data string, line int) int {
	first := lineOf(data)
	text := strings.TrimSpace(first)
	if text == "" || text[0] == '#' {
		return len(first)
	}
	at := strings.IndexAny(first, "=:")
	if at < 0 {
		f.mistake(line, shownName(text)+"no = behind the name")
		return len(first)
	}
	name, ok := nameOf(first[:at])
	if !ok {
		f.mistake(line, shownName(text)+"want NAME=value, the name of letters, digits and _")
		return len(first)
	}
	value, n, trouble := valueOf(data[at+1:])
	if trouble != "" {
		f.mistake(line, shownName(name)+trouble)
	} else {
		f.values[name], f.lines[name] = value, line
	}
	return at + 1 + n
}

// lineOf returns the first line of data, its end included.
func lineOf(data string) string {
	before, _, _ := strings.Cut(data, "\n")
	return data[:min(len(before)+1, len(data))]
}

var validName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// nameOf returns the name in front of an = without the word export.
func nameOf(text string) (string, bool) {
	name := strings.TrimLeftFunc(text, unicode.IsSpace)
	if rest, ok := strings.CutPrefix(name, "export"); ok && rest != strings.TrimLeftFunc(rest, unicode.IsSpace) {
		name = rest
	}
	name = strings.TrimSpace(name)
	return name, validName.MatchString(name)
}

var (
	endComment = regexp.MustCompile(`^(.*)[\s\v\x{85}\x{A0}]#.*$`)
	escaped    = regexp.MustCompile(`\\[^$]`)
)

// valueOf returns the value behind an =, how much of data it takes, to the end
// of its last line, and what is wrong with its quotes. Where they are not
// closed that is one line, so that all that follows is read too.
func valueOf(data string) (value string, n int, trouble string) {
	n = len(lineOf(data))
	value = strings.TrimSpace(data[:n])
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return meaning(strings.TrimSpace(endComment.ReplaceAllString(value, "$1"))), n, ""
	}
	open := strings.IndexByte(data, value[0])
	for i := open + 1; i < len(data); i++ {
		if data[i] != data[open] || data[i-1] == '\\' {
			continue
		}
		rest := lineOf(data[i+1:])
		if behind := strings.TrimSpace(rest); behind != "" && behind[0] != '#' {
			trouble = "text behind the closing quote"
		}
		return meaning(data[open:i]), i + 1 + len(rest), trouble
	}
	return "", n, "the quote that opens the value is not closed"
}

// meaning returns what a value stands for, which begins with its quote where it
// has one: itself between single quotes, else with $ for \$ and, between double
// quotes, the character for a \ and any other, a line end for \n and \r. That is
// the syntax of github.com/joho/godotenv, but for $NAME, which stands for itself.
func meaning(value string) string {
	switch {
	case strings.HasPrefix(value, "'"):
		return strings.Trim(value, "'")
	case strings.HasPrefix(value, `"`):
		value = escaped.ReplaceAllStringFunc(strings.Trim(value, `"`), func(pair string) string {
			return cmp.Or(map[string]string{`\n`: "\n", `\r`: "\r"}[pair], pair[1:])
		})
	}
	return strings.ReplaceAll(value, `\$`, "$")
}

// shownName returns "NAME: " where a line begins with the name of a setting,
// and nothing where it may be anything.
func shownName(line string) string {
	fields := strings.Fields(strings.TrimPrefix(line, "export "))
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
