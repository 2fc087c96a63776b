package request

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/util"
)

// recoverIDs looks for the ids of a payload that is not acceptable JSON as a whole:
// truncated, with repeated names, or worse. It reads as far as it can. An id
// that is given twice with two values is left out.
func recoverIDs(value []byte) (messageID, traceID, tenantID string) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return "", "", ""
	}
	found := map[string]string{}
	for {
		t, err := dec.ReadToken()
		if err != nil || t.Kind() != '"' {
			break
		}
		name := t.String()
		if dec.PeekKind() != '"' {
			if dec.SkipValue() != nil {
				break
			}
			continue
		}
		if t, err = dec.ReadToken(); err != nil {
			break
		}
		text := strings.TrimSpace(t.String())
		if before, twice := found[name]; twice && before != text {
			text = ""
		}
		if name == "message_id" || name == "trace_id" || name == "tenant_id" {
			found[name] = text
		}
	}
	return found["message_id"], found["trace_id"], found["tenant_id"]
}

// usable reports whether an id may stand for its message.
func usable(messageID string) bool { return util.IsUUIDv4(messageID) }
