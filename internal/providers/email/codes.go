package email

// basic is what reply codes say (RFC 5321, 4.2.3; RFC 4954, 6).
func basic() map[int]string {
	return map[int]string{
		250: "requested action completed", 251: "user not local, forwarded", 252: "user cannot be verified, delivery is attempted",
		354: "start of mail input",
		421: "service not available, the connection is closed", 432: "a password transition is needed",
		450: "mailbox unavailable, busy or blocked for a policy", 451: "local error in processing",
		452: "insufficient storage, or too many recipients", 454: "temporary authentication failure", 455: "parameters cannot be taken now",
		500: "command not recognized", 501: "error in parameters", 502: "command not implemented", 503: "bad sequence of commands",
		504: "parameter not implemented", 521: "the host accepts no mail", 530: "authentication required", 534: "authentication mechanism too weak",
		535: "credentials refused", 538: "encryption required", 550: "mailbox unavailable, or refused by a policy",
		551: "user not local", 552: "storage allocation exceeded", 553: "mailbox name not allowed", 554: "transaction failed",
		555: "parameters not recognized", 556: "the domain accepts no mail",
	}
}

// enhanced is what the last two numbers of a status code say (RFC 3463, 3;
// RFC 4954, 6; RFC 5248; RFC 7372).
func enhanced() map[[2]int]string {
	return map[[2]int]string{
		{0, 0}: "other or undefined status",
		{1, 0}: "other address status", {1, 1}: "no such mailbox", {1, 2}: "no such destination system",
		{1, 3}: "syntax of the mailbox address", {1, 4}: "mailbox address ambiguous", {1, 5}: "destination address valid",
		{1, 6}: "mailbox has moved", {1, 7}: "syntax of the sender's address", {1, 8}: "bad address of the sender's system", {1, 10}: "the domain accepts no mail",
		{2, 0}: "other mailbox status", {2, 1}: "mailbox disabled", {2, 2}: "mailbox full", {2, 3}: "message too long for the mailbox", {2, 4}: "mailing list cannot be expanded",
		{3, 0}: "other mail system status", {3, 1}: "mail system full", {3, 2}: "mail system takes no messages now",
		{3, 3}: "system lacks a feature", {3, 4}: "message too big for the system", {3, 5}: "system wrongly configured",
		{4, 0}: "other network status", {4, 1}: "no answer from the host", {4, 2}: "bad connection", {4, 3}: "directory server failed",
		{4, 4}: "no route", {4, 5}: "mail system congested", {4, 6}: "routing loop", {4, 7}: "delivery time expired",
		{5, 0}: "other protocol status", {5, 1}: "invalid command", {5, 2}: "syntax error", {5, 3}: "too many recipients", {5, 4}: "invalid arguments", {5, 5}: "wrong protocol version",
		{6, 0}: "other content status", {6, 1}: "media not supported", {6, 2}: "conversion required and prohibited", {6, 3}: "conversion required but not supported",
		{6, 4}: "conversion with loss", {6, 5}: "conversion failed", {6, 7}: "non-ASCII addresses not permitted",
		{7, 0}: "other security status, or a rate limit", {7, 1}: "delivery not authorized", {7, 2}: "expansion of the list prohibited", {7, 3}: "security conversion not possible",
		{7, 4}: "security features not supported", {7, 5}: "cryptographic failure", {7, 6}: "algorithm not supported", {7, 7}: "integrity failure",
		{7, 8}: "credentials invalid", {7, 9}: "mechanism too weak", {7, 10}: "encryption needed", {7, 11}: "encryption required", {7, 12}: "password transition needed",
		{7, 13}: "account disabled", {7, 17}: "mailbox has a new owner", {7, 18}: "domain has a new owner",
		{7, 20}: "no valid DKIM signature", {7, 21}: "no acceptable DKIM signature", {7, 23}: "SPF failed", {7, 24}: "SPF had an error", {7, 25}: "reverse DNS failed", {7, 26}: "several authentication checks failed",
	}
}

// Meaning returns what a reply says by its enhanced code, or where it has none
// that is known by its basic one, and where that is written.
func Meaning(r Reply) (text, source string) {
	if r.Enhanced[0] != 0 {
		if text, ok := enhanced()[[2]int{r.Enhanced[1], r.Enhanced[2]}]; ok {
			return text, "RFC 3463, 3; IANA SMTP Enhanced Status Codes"
		}
	}
	if text, ok := basic()[r.Code]; ok {
		return text, "RFC 5321, 4.2.3; RFC 4954, 6"
	}
	return "no reply of the standards", "RFC 5321, 4.2.1"
}
