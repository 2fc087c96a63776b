package adaptertest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	emailadapter "messaging-worker/internal/adapters/email"
	"messaging-worker/internal/providers/email"
)

// A server names mailboxes as it likes, and not only those of the request:
// none may get into an event, or into a failure's text, which goes into the
// log, the breaker's reason and /healthz/ready.
func TestServersWordsNameNoMailbox(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"User@EXAMPLE.com", "uSer@example.com", "somebody.else@other.example", `"o n e"@example.com`} {
		words := "<" + address + ">: no, " + address
		r := func(code int) email.Reply {
			return email.Reply{Code: code, Enhanced: [3]int{code / 100, 1, 1}, Message: words}
		}
		tests := map[string]reply{
			"message":       {err: &email.ReplyError{Stage: ".", Reply: r(550)}},
			"421":           {err: &email.ReplyError{Stage: "MAIL", Reply: r(421)}},
			"greeting":      {err: &email.SetupError{Stage: "greeting", Reply: r(554)}},
			"TLS":           {err: &email.SetupError{Stage: "TLS", Err: fmt.Errorf("no name for %s", words)}},
			"recipients":    {receipt: email.Receipt{Reply: r(250), Refusals: []email.Refusal{{Recipient: 1, Reply: r(550)}, {Recipient: 2, Reply: r(450)}}}},
			"all refused":   {receipt: email.Receipt{Refusals: []email.Refusal{{Recipient: 0, Reply: r(550)}, {Recipient: 1, Reply: r(550)}, {Recipient: 2, Reply: r(550)}}}},
			"half way":      {receipt: email.Receipt{Reply: r(250), Failed: []int{1, 2}, Err: &email.ReplyError{Stage: ".", Reply: r(451)}}},
			"accepted":      {receipt: email.Receipt{Reply: r(250), QueueID: "4F2A1B"}},
			"odd queue ids": {receipt: email.Receipt{Reply: r(250), QueueID: "USER@example.com"}},
		}
		for name, p := range tests {
			resp, f := sendMail(t, p, emailRequest(), 0, 1, 2)
			text := fmt.Sprintf("%+v %v", resp, f)
			if p.err != nil {
				text += fmt.Sprint(emailadapter.ProbeError(p.err, time.Second))
			}
			if strings.Contains(text, "@") || strings.Contains(text, `n e"`) {
				t.Errorf("%s: an address in %s", name, text)
			}
			if id := resp.Meta["queue_id"]; name == "accepted" && id != "4F2A1B" {
				t.Errorf("queue id %q, want it as the server gave it", id)
			}
		}
	}
}
