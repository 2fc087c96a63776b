package smtp

import (
	"strings"

	"messaging-worker/internal/providers/email"
)

// verify makes sure that what refused the message was said about it. A server
// may have sent two replies to the message before, and the second one when
// this transaction was under way; then each reply was taken for that to the
// command behind its own. The next one is not that to RSET then but to DATA,
// which grants nothing without a message. A second reply that refuses cannot
// be told where commands go out one by one and this ends them before DATA.
func (t *transaction) verify() {
	r, err := t.c.ask("RSET")
	switch {
	case err != nil, r.Code == 421:
		t.c.broken = true
	case positive(r):
		t.c.dirty = false
	default:
		t.outOfStep("RSET", r)
	}
}

// outOfStep voids what was heard: r cannot be the reply to what was said, so
// that the replies before it may be those to other commands. The message's
// text is not written yet, so nobody has it.
func (t *transaction) outOfStep(stage string, r email.Reply) {
	t.c.broken, t.dead, t.goOn = true, true, false
	t.accepted, t.refusals, t.surplus = nil, nil, nil
	t.refused = &email.ProtocolError{Stage: stage, Text: words(r)}
}

// words is a reply as it came, about.
func words(r email.Reply) string {
	return strings.TrimSpace(strings.TrimPrefix(r.String(), "smtp ") + " " + r.Message)
}
