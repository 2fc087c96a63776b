package smtp

import "strings"

// queuedForLater reports the words of a positive reply by which a server says
// that it does not try to deliver now: Sendmail's "Recipient ok (will queue)",
// and what others may say. There is no code for it (RFC 3463), so only a
// warning follows from it. Most servers do not say it: Exim answers "250 OK id=X" to
// what it leaves to its next queue run as well.
func queuedForLater(text string) bool {
	text = strings.ToLower(text)
	for _, words := range []string{"will queue", "queued for later", "no immediate delivery"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// OnQueuedForLater has listen called when a reply says that the server leaves a
// message that it accepted to a later queue run. It is called before the first
// Send.
func (p *Provider) OnQueuedForLater(listen func()) { p.queuedForLater = listen }
