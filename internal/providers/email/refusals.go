package email

import "slices"

// Whom a refusal for good is about. The words are those of api.Code's scopes.
const (
	AboutRecipient = "recipient" // the mailbox that it answers
	AboutMessage   = "message"   // its content or size
	AboutSender    = "sender"    // the address given to MAIL
	AboutAccount   = "account"   // us: our host, name, credentials, permissions or quota
	AboutProvider  = "provider"  // the server's own state
)

// Values of refusalRule that are no numbers of a code.
const (
	anyDetail = -1 // whatever the last number is
	noSubject = -1 // there is no enhanced code, or one that says nothing (5.0.0)
)

// refusalRule is one line of the table of refusals for good (5yz). A line
// without stages or without codes holds for all of them.
type refusalRule struct {
	stages          []string
	codes           []int // basic ones
	subject, detail int   // the last two numbers of the enhanced code; subject 0: whatever it is
	last            int   // the last detail of a range that begins with detail; 0 for none
	about           string
}

func (l *refusalRule) fits(stage string, r Reply) bool {
	if l.stages != nil && !slices.Contains(l.stages, stage) {
		return false
	}
	if l.codes != nil && !slices.Contains(l.codes, r.Code) {
		return false
	}
	subject, detail := 0, 0
	if r.Enhanced[0] == 5 { // where it disagrees, the basic code wins
		subject, detail = r.Enhanced[1], r.Enhanced[2]
	}
	switch l.subject {
	case 0:
		return true
	case noSubject:
		return subject == 0
	}
	return subject == l.subject && (l.detail == anyDetail || detail >= l.detail && detail <= max(l.detail, l.last))
}

// About returns whom a permanent refusal (5yz) is about: one of the constants, or
// "" if its codes do not say. Stage is that of ReplyError, "RCPT" for the
// reply to one recipient.
func About(stage string, r Reply) string {
	for _, line := range refusalRules {
		if line.fits(stage, r) {
			return line.about
		}
	}
	return ""
}

// refusalRules says whom a refusal is about, by its stage and its codes. The
// first line that fits decides; what fits none may be about anybody.
//
// Sources: RFC 5321, 4.2.3 and 4.3.2; RFC 3463, 3; RFC 4954, 6; RFC 1870, 6;
// RFC 7372; RFC 7293; RFC 7504; the IANA registry of enhanced status codes;
// for 5.7.57 and from 5.7.504 on, and for 5.4.1 of unknown recipients,
// Microsoft's list of NDR codes of Exchange Online
// (learn.microsoft.com/troubleshoot/exchange/email-delivery/ndr); for 5.4.5 as
// a quota, Gmail's list (support.google.com/a/answer/3726730).
//
//nolint:gochecknoglobals // a constant, if a slice could be one
var refusalRules = []refusalRule{
	// Credentials, and a conversation that the server does not take from us.
	{codes: []int{530, 534, 535, 538}, about: AboutAccount},
	{stages: []string{StageMAIL, StageRCPT, StageDATA}, codes: []int{521}, about: AboutProvider},
	{stages: []string{StageMAIL, StageRCPT, StageDATA}, codes: []int{502, 503}, about: AboutAccount},
	{subject: 7, detail: 8, last: 13, about: AboutAccount},
	{subject: 7, detail: 25, about: AboutAccount}, // reverse DNS of our address
	{subject: 7, detail: 57, about: AboutAccount}, // not authenticated
	{subject: 7, detail: 504, last: 505, about: AboutRecipient},
	{subject: 7, detail: 506, about: AboutAccount}, // our name in HELO
	{subject: 7, detail: 513, about: AboutRecipient},
	{subject: 7, detail: 606, last: 649, about: AboutAccount}, // our address is banned
	{subject: 7, detail: 705, about: AboutAccount},            // quota
	{subject: 7, detail: 708, about: AboutAccount},            // our address
	{subject: 7, detail: 750, about: AboutAccount},            // our domain is not registered
	{subject: 7, detail: 17, last: 18, about: AboutRecipient}, // it has a new owner

	// Size and content, wherever they are noticed.
	{subject: 3, detail: 4, about: AboutMessage},
	{subject: 6, detail: anyDetail, about: AboutMessage},

	// RCPT: routes and mailboxes are that recipient's. Exchange Online says
	// 5.4.1 for one that does not exist; 5.4.5 is congestion, and Gmail's
	// quota.
	{stages: []string{StageRCPT}, subject: 4, detail: 3, about: AboutProvider},
	{stages: []string{StageRCPT}, subject: 4, detail: 5, about: AboutProvider},
	{stages: []string{StageRCPT}, subject: 4, detail: anyDetail, about: AboutRecipient},
	{stages: []string{StageRCPT}, codes: []int{550, 551, 553, 556}, subject: 3, detail: 0, about: AboutRecipient},
	{stages: []string{StageRCPT}, subject: 2, detail: anyDetail, about: AboutRecipient},
	{stages: []string{StageRCPT}, codes: []int{501, 550, 551, 552, 553, 556}, subject: noSubject, about: AboutRecipient},

	// MAIL names no recipient yet and nothing of the content but its size.
	{stages: []string{StageMAIL}, subject: 7, detail: anyDetail, about: AboutAccount},
	{stages: []string{StageMAIL}, subject: 1, detail: anyDetail, about: AboutSender},
	{stages: []string{StageMAIL}, subject: 2, detail: 3, about: AboutMessage}, // larger than the server takes
	{stages: []string{StageMAIL}, subject: 2, detail: anyDetail, about: AboutSender},
	{stages: []string{StageMAIL}, codes: []int{501, 553}, subject: noSubject, about: AboutSender},

	// Whatever is left.
	{subject: 3, detail: anyDetail, about: AboutProvider},
	{subject: 4, detail: anyDetail, about: AboutProvider},
	{subject: 1, detail: 7, last: 8, about: AboutSender},
	{subject: 1, detail: anyDetail, about: AboutRecipient},
	{subject: 2, detail: 3, about: AboutMessage}, // too long, also for a mailbox
	{subject: 2, detail: 1, last: 4, about: AboutRecipient},
	{codes: []int{552}, subject: noSubject, about: AboutMessage}, // larger than SIZE
}
