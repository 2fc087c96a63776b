package api

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// HasNumber reports whether the body is a JSON object that has a whole number
// under the path of member names, also one that is written as a text. Each
// provider numbers its errors: an answer without such a number was given by
// somebody else on the way.
func (a *Answer) HasNumber(path ...string) bool {
	body := a.Body
	for _, name := range path {
		var object map[string]jsontext.Value
		if (&Answer{Body: body}).Read(&object) != nil {
			return false
		}
		body = object[name]
	}
	_, err := strconv.ParseInt(strings.Trim(string(body), `"`), 10, 64)
	return err == nil
}
