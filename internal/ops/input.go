package ops

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"messaging-worker/internal/models"
)

// Input is one request as it was given.
type Input struct {
	Line  int // of the text where it begins, from 1
	Value []byte
}

// Inputs splits a text into requests: one JSON object, or several, each of
// which ends its line. What is not JSON is yielded too, so that a check
// can say what is wrong with it. A read error is yielded last.
func Inputs(r io.Reader) iter.Seq2[Input, error] {
	return func(yield func(Input, error) bool) {
		s := splitter{lines: bufio.NewReader(r)}
		for {
			in, err := s.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(Input{}, fmt.Errorf("read requests: %w", err))
				return
			case !yield(in, nil):
				return
			}
		}
	}
}

// splitter gathers lines until their brackets are closed.
type splitter struct {
	lines *bufio.Reader
	line  int    // number of the last line that was read
	held  []byte // a line that belongs to the next input
}

// next returns the next input, or io.EOF.
func (s *splitter) next() (Input, error) {
	in, err := s.gather()
	in.Value = bytes.TrimRight(in.Value, "\r\n")
	return in, err
}

func (s *splitter) gather() (Input, error) {
	var in Input
	depth := 0
	for {
		line, err := s.read()
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return in, err
		case len(line) == 0 && len(in.Value) == 0:
			return in, io.EOF
		case len(line) == 0:
			return in, nil
		case len(in.Value) > 0 && line[0] == '{':
			// An object inside another is indented or follows a name: this
			// is a new one behind one that was never closed.
			s.held, s.line = line, s.line-1
			return in, nil
		case len(in.Value) == 0 && len(models.TrimSpace(line)) == 0:
			continue
		}
		if len(in.Value) == 0 {
			in.Line = s.line
		}
		in.Value = append(in.Value, line...)
		if depth += open(line); depth <= 0 {
			return in, nil
		}
	}
}

func (s *splitter) read() ([]byte, error) {
	s.line++
	if line := s.held; line != nil {
		s.held = nil
		return line, nil
	}
	return s.lines.ReadBytes('\n')
}

// open returns how many more brackets a line opens than it closes. A string
// cannot go on in the next line.
func open(line []byte) int {
	depth, quoted, escaped := 0, false, false
	for _, c := range line {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return depth
}
