package smtp

import (
	"strings"

	"messaging-worker/internal/providers/email"
)

// checkSync makes sure that a refusal was the reply to this transaction. The
// server may have sent two replies to the previous message, the second one late:
// then every reply here was read as that to the command after its own, and what
// is read as the reply to RSET is that to DATA, which is no 2yz without a
// message. A second reply that is itself a refusal cannot be noticed where
// commands are sent one by one and it ends them before DATA.
func (t *transaction) checkSync() {
	r, err := t.c.command("RSET")
	switch {
	case err != nil, r.Code == 421:
		t.c.broken = true
	case positive(r):
		t.c.dirty = false
	default:
		t.outOfSync(email.StageRSET, r)
	}
}

// outOfSync voids the replies read so far: r cannot be the reply to the command
// of this stage, so the replies before it may belong to other commands too. The
// message itself is not written yet, so nobody has it.
func (t *transaction) outOfSync(stage string, r email.Reply) {
	t.c.broken, t.repeatable, t.dataAccepted = true, true, false
	t.accepted, t.refusals, t.surplus = nil, nil, nil
	t.refused = &email.ProtocolError{Stage: stage, Text: replyText(r)}
}

// replyText is the reply as the server wrote it, nearly.
func replyText(r email.Reply) string {
	return strings.TrimSpace(strings.TrimPrefix(r.String(), "smtp ") + " " + r.Message)
}
