package request

import (
	"fmt"
	"slices"

	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

// Limits bound a valid request. All are required and at least one.
type Limits struct {
	MessageBytes      int // the whole record
	Recipients        int // each list, as given
	BodyBytes         int // email
	SMSBodyRunes      int
	WhatsAppBodyBytes int
	SubjectRunes      int
	MetaEntries       int
	MetaKeyRunes      int
	MetaValueRunes    int
}

// envelopeMember reads a member that all channels share, or returns false.
func (r *Reader) envelopeMember(name string) bool {
	switch name {
	case "message_id":
		r.String(name, &r.id)
	case "channel":
		r.String(name, &r.ch)
	case "tenant_id":
		r.String(name, &r.env.TenantID)
	case "trace_id":
		r.String(name, &r.env.TraceID)
	case "created_at":
		r.String(name, &r.time)
	case "meta":
		r.meta(&r.env.Meta)
	default:
		return false
	}
	return true
}

func (r *Reader) checkEnvelope(channel models.Channel, limits *Limits) {
	if r.Required("message_id", r.id) {
		if !util.IsUUIDv4(r.id) {
			r.Add("message_id", "not a UUID version 4 in lower-case canonical form")
		} else if len(r.rec.Key) > 0 && string(r.rec.Key) != r.id {
			r.Add("key", "differs from message_id")
		}
	}
	r.env.MessageID = r.id
	if r.Required("channel", r.ch) && r.ch != string(channel) {
		r.Add("channel", "must be "+string(channel))
	}
	r.env.Channel = channel
	if r.Required("created_at", r.time) {
		at, ok := util.ParseUTC(r.time)
		if !ok {
			r.Add("created_at", "not an RFC 3339 time in UTC")
		}
		r.env.CreatedAt = at
	}
	r.checkMeta(limits)
}

func (r *Reader) checkMeta(limits *Limits) {
	meta := r.env.Meta
	if len(meta) > limits.MetaEntries {
		r.Add("meta", fmt.Sprintf("%d entries, at most %d", len(meta), limits.MetaEntries))
	}
	var long []string
	for key, value := range meta {
		if util.LongerThan(key, limits.MetaKeyRunes) {
			long = append(long, MetaPath(key)+fmt.Sprintf(": key longer than %d runes", limits.MetaKeyRunes))
		}
		if util.LongerThan(value, limits.MetaValueRunes) {
			long = append(long, MetaPath(key)+fmt.Sprintf(": longer than %d runes", limits.MetaValueRunes))
		}
	}
	slices.Sort(long) // a map has no order, an error text should
	for _, v := range long {
		if !r.full() {
			r.list = append(r.list, v)
		}
	}
}

// Addressee checks one required text with a predicate.
func (r *Reader) Addressee(path, text string, valid func(string) bool, want string) {
	if r.Required(path, text) && !valid(text) {
		r.Add(path, "not "+want)
	}
}

// List checks a recipient list: at least low entries, at most the limit, each
// one of those that Strings kept valid.
func (r *Reader) List(path string, list []string, low, high int, valid func(string) bool, want string) {
	n := max(len(list), r.long[path])
	switch {
	case n < low:
		if !r.Flagged(path) {
			r.Add(path, "needs at least one recipient")
		}
		return
	case n > high:
		r.addFirst(path, fmt.Sprintf("%d recipients, at most %d", n, high))
	}
	for i, text := range list {
		if !valid(text) {
			r.addEntry(path, i, text, "not "+want)
		}
	}
}

// addEntry notes a violation of an entry, unless it is noted already. Beyond
// the violations that are listed a blank entry may be one that was counted as
// of the wrong type, and is not counted again.
func (r *Reader) addEntry(path string, i int, text, violation string) {
	if len(r.list) == maxViolations {
		if text != "" {
			r.more++
		}
		return
	}
	if p := index(path, i); !r.Flagged(p) {
		r.Add(p, violation)
	}
}

// Distinct returns the indexes of the addresses that come first. Two spellings
// of a mailbox are one address.
func Distinct(list []string) []int {
	first := make([]int, 0, len(list))
	if len(list) == 1 { // as nearly always
		return append(first, 0)
	}
	seen := make(map[string]struct{}, len(list))
	for i, address := range list {
		key := util.MailboxKey(address) // a number is its own
		if _, twice := seen[key]; !twice {
			seen[key] = struct{}{}
			first = append(first, i)
		}
	}
	return first
}

// BodyType fills in the default and checks the type against the allowed ones.
// It returns the type, or "" where it is not allowed.
func (r *Reader) BodyType(body *models.Body, allowed ...string) string {
	if body.Type == "" {
		body.Type = models.BodyText
	}
	if !slices.Contains(allowed, body.Type) {
		r.Add("body.type", fmt.Sprintf("not one of %v", allowed))
		return ""
	}
	return body.Type
}

// BodyContent checks that there is something to deliver.
func (r *Reader) BodyContent(body *models.Body) {
	if util.IsBlank(body.Content) && !r.Flagged("body") && !r.Flagged("body.content") {
		r.Add("body.content", "is required")
	}
}
