package explain

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	emailadapter "messaging-worker/internal/adapters/email"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/email"
)

// reply is how people write what a mail server says: 550, 5.1.1 or both.
var reply = regexp.MustCompile(`^([2-5][0-9][0-9])?[ -]?(?:([245])\.([0-9]{1,3})\.([0-9]{1,3}))?$`)

// mostly is the basic code that an enhanced one mostly stands behind (RFC
// 5248, 2.4; RFC 4954, 6; RFC 5321, 4.5.3.1.10).
func mostly(enhanced [3]int) int {
	special := map[[3]int]int{{4, 5, 3}: 452, {5, 5, 3}: 552, {5, 7, 8}: 535, {5, 7, 9}: 534, {5, 7, 11}: 538}
	return cmp.Or(special[enhanced], 100*enhanced[0]+50)
}

func (e Explanation) bySMTP() (Explanation, error) {
	parts := reply.FindStringSubmatch(e.Code)
	if parts == nil || parts[0] == "" {
		return e, fmt.Errorf("%q is no SMTP reply: write 550, 5.1.1 or \"550 5.1.1\"", e.Code)
	}
	var r email.Reply
	r.Code, _ = strconv.Atoi(parts[1])
	for i := range r.Enhanced {
		r.Enhanced[i], _ = strconv.Atoi(parts[2+i])
	}
	if r.Code != 0 && parts[2] != "" && r.Code/100 != r.Enhanced[0] {
		return e, errors.New("the two codes disagree; the workers go by the first, so leave the second out")
	}
	e.Meaning, e.Source = email.Meaning(r)
	if r.Code == 0 {
		r.Code = mostly(r.Enhanced)
	}
	if r.Code < 300 {
		e.Class, e.Action = "accepted", "It is delivered: the message ends sent."
		return e, nil
	}
	e = e.refused(email.StageRCPT, r)
	// Servers say the same code of different things: to a recipient above, and
	// to what comes before and behind it.
	for _, at := range [][2]string{{email.StageMAIL, "MAIL"}, {email.StageMessage, "the message itself"}} {
		if other := e.refused(at[0], r); other.Class != e.Class {
			e.Action += " In answer to " + at[1] + " it is " + other.Class + "."
		}
	}
	if r.TooMany() {
		e.Action = "To a recipient behind another one of its transaction it is no failure: those that are left get a further transaction at once. Elsewhere it is " +
			e.Class + ". " + e.Action
		if r.Enhanced[0] != 0 { // it says that a transaction is full, and nothing else
			e.Class, e.Scope = string(api.Transient), "message"
		}
	}
	return e, nil
}

// refused explains a refusal at a stage.
func (e Explanation) refused(stage string, r email.Reply) Explanation {
	word, f := emailadapter.Classify(stage, r, nil)
	class := classOf(word, f)
	switch {
	case f.Unreachable && r.Code >= 500:
		e.Class, e.Scope, e.Action = string(api.SetUp), email.About(stage, r), action(api.SetUp, "")
		return e
	case class == "":
		e.Class, e.Scope, e.Action = "unknown", "", actionUnknown
		return e
	case class == api.Permanent:
		e.Scope = email.About(stage, r)
		if e.Scope == "" && stage == email.StageRCPT {
			e.Scope = email.AboutRecipient
		}
	case f.Throttle, f.Unreachable:
		e.Scope = "provider"
	case r.Enhanced[1] == 1, r.Enhanced[1] == 2:
		e.Scope = "recipient"
	}
	e.Class, e.Action = string(class), action(class, e.Scope)
	switch {
	case f.Unexplained != "" && r.Enhanced[1] == 7:
		e.Action += mayBeUs + " Where a server answers so to all of several recipients, or with 554, it does not relay for us: that is taken for set-up at once."
	case f.Unexplained != "":
		e.Action += mayBeUs
	case f.Unreachable:
		e.Action += pauses
	}
	return e
}
