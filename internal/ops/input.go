package ops

import (
	"bufio"
	"bytes"
	"cmp"
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
		lines := bufio.NewReader(r)
		var in Input // whose brackets are not closed yet
		depth, more := 0, true
		end := func() {
			in.Value = bytes.TrimRight(in.Value, "\r\n")
			more = more && (len(in.Value) == 0 || yield(in, nil))
			in, depth = Input{}, 0
		}
		for n := 1; more; n++ {
			line, err := lines.ReadBytes('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Input{}, fmt.Errorf("read requests: %w", err))
				return
			}
			// An object inside another is indented or follows a name: this
			// is a new one behind one that was never closed.
			if bytes.HasPrefix(line, []byte("{")) {
				end()
			}
			if len(in.Value) > 0 || len(models.TrimSpace(line)) > 0 {
				in = Input{cmp.Or(in.Line, n), append(in.Value, line...)}
				depth += open(line)
			}
			if depth <= 0 || err != nil {
				end()
			}
			more = more && err == nil
		}
	}
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
