package dlq

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/patch"
	"messaging-worker/internal/util"
)

var (
	errNotRecipients = errors.New("failed_recipients of its meta does not match the request's recipients")
	errOwnMeta       = errors.New("failed_recipients may be the request's own meta: who got it is not certain")
	errOnlyBCC       = errors.New("only bcc recipients are left: none can stand in to without the others seeing it")
)

// recipient is one entry of a recipient list.
type recipient struct {
	list string
	raw  jsontext.Value
	text string // trimmed, as the workers read it
}

// narrow returns a request with none but the recipients that a dead letter
// says did not get it: entries are left out, and nothing else changes. It
// reports how many are left, zero where nothing was to be narrowed.
//
// A request needs someone in to. Where all there are left out, the cc
// recipients that are left move there, or a single bcc recipient.
func narrow(object []byte, channel models.Channel, meta map[string]string) ([]byte, int, error) {
	failed, ok := meta[models.MetaFailedRecipients]
	if !ok {
		return object, 0, nil
	}
	if own, err := ownMeta(object); err != nil || own != "" && own == failed {
		return nil, 0, errors.Join(err, errOwnMeta)
	}
	lists := []string{"to"}
	if channel == models.Email {
		lists = []string{"to", "cc", "bcc"}
	}
	all, err := recipients(object, lists)
	if err != nil {
		return nil, 0, err
	}
	left, err := match(all, failed)
	if err != nil {
		return nil, 0, err
	}
	if err := fillTo(left); err != nil {
		return nil, 0, err
	}
	for _, list := range lists {
		value := slices.Concat([]byte("["), bytes.Join(entries(left, list), []byte(",")), []byte("]"))
		if len(entries(all, list)) == 0 && len(value) == len("[]") {
			continue // it is not there, null or empty, and stays so
		}
		if object, err = patch.Member(list, value).Apply(object); err != nil {
			return nil, 0, fmt.Errorf("narrow: %w", err)
		}
	}
	return object, len(left), nil
}

// ownMeta returns the entry that the request itself has.
func ownMeta(object []byte) (string, error) {
	var request struct {
		Meta map[string]jsontext.Value `json:"meta"`
	}
	if err := json.Unmarshal(object, &request); err != nil {
		return "", fmt.Errorf("read the request's meta: %w", err)
	}
	for key, value := range request.Meta {
		var text string
		if strings.TrimSpace(key) == models.MetaFailedRecipients && json.Unmarshal(value, &text) == nil {
			return strings.TrimSpace(text), nil
		}
	}
	return "", nil
}

func recipients(object []byte, lists []string) ([]recipient, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	var all []recipient
	for _, list := range lists {
		value, ok := members[list]
		if !ok {
			continue
		}
		var entries []jsontext.Value
		if err := json.Unmarshal(value, &entries); err != nil {
			return nil, fmt.Errorf("read the request's %s: %w", list, err)
		}
		for _, raw := range entries {
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, fmt.Errorf("read the request's %s: %w", list, err)
			}
			all = append(all, recipient{list, raw, strings.TrimSpace(text)})
		}
	}
	return all, nil
}

// match returns the recipients that failed names. Failed joins some of them
// with commas, in their order and each once; a quoted mailbox may hold a comma
// itself, so the text is compared to the recipients and never split. No
// mailbox begins with another one and a comma, so there is one way at most.
func match(all []recipient, failed string) ([]recipient, error) {
	seen := map[string]bool{}
	var left []recipient
	for _, r := range all {
		key := util.MailboxKey(r.text)
		if r.text == "" || seen[key] {
			continue
		}
		seen[key] = true
		rest, ok := strings.CutPrefix(failed, r.text)
		switch {
		case !ok:
		case rest == "":
			return append(left, r), nil
		case rest[0] == ',':
			left, failed = append(left, r), rest[1:]
		}
	}
	return nil, errNotRecipients
}

// fillTo moves recipients into to where none is left there.
func fillTo(left []recipient) error {
	from := "cc"
	switch cc, bcc := entries(left, "cc"), entries(left, "bcc"); {
	case len(entries(left, "to")) > 0:
		return nil
	case len(cc) == 0 && len(bcc) > 1:
		return errOnlyBCC
	case len(cc) == 0:
		from = "bcc"
	}
	for i := range left {
		if left[i].list == from {
			left[i].list = "to"
		}
	}
	return nil
}

// entries returns those of one list, byte for byte.
func entries(all []recipient, list string) [][]byte {
	var raw [][]byte
	for _, r := range all {
		if r.list == list {
			raw = append(raw, r.raw)
		}
	}
	return raw
}
