package fake

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// twilioFields are those of Twilio's OpenAPI description of CreateMessage
// (2010-04-01) that the workers may use.
func twilioFields() []field {
	address := regexp.MustCompile(`^(whatsapp:)?\+[1-9][0-9]{1,14}$`)
	return []field{
		{name: "To", pattern: address, required: true},
		{name: "From", pattern: address},
		{name: "Body", longest: 1600},
		{name: "MessagingServiceSid", pattern: regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)},
		{name: "MediaUrl", pattern: regexp.MustCompile(`^https?://[^/]+`)},
		{name: "ContentSid", pattern: regexp.MustCompile(`^HX[0-9a-fA-F]{32}$`)},
		{name: "ContentVariables", pattern: regexp.MustCompile(`^\{.*\}$`)},
		{name: "StatusCallback", pattern: regexp.MustCompile(`^https?://[^_/]+/?`), longest: 4000},
		{name: "ValidityPeriod", pattern: regexp.MustCompile(`^[1-9][0-9]{0,4}$`)},
	}
}

// Twilio's magic numbers for test credentials: what they are answered
// (twilio.com/docs/iam/test-credentials). Like Twilio, the texts quote numbers.
func magic(from, to string) *refusal {
	refusals := map[string]*refusal{
		"To +15005550001":   {400, 21211, "The 'To' number " + to + " is not a valid phone number."},
		"To +15005550002":   {400, 21612, "The 'To' number " + to + " is not reachable from " + from + "."},
		"To +15005550003":   {400, 21408, "Permission to send to the region has not been enabled."},
		"To +15005550004":   {400, 21610, "Attempt to send to unsubscribed recipient."},
		"To +15005550009":   {400, 21614, "'To' number is not a valid mobile number: " + to},
		"From +15005550001": {400, 21212, "The 'From' number " + from + " is not a valid phone number."},
		"From +15005550007": {400, 21606, "The 'From' phone number is not a valid message-capable number."},
		"From +15005550008": {400, 21611, "This 'From' number has exceeded the maximum number of queued messages."},
	}
	return cmp.Or(refusals["To "+strings.TrimPrefix(to, "whatsapp:")], refusals["From "+strings.TrimPrefix(from, "whatsapp:")])
}

// Twilio makes a fake Twilio with one account.
func Twilio(accountSID, username, password string) *Server {
	s := &Server{
		to: "To", created: http.StatusCreated, codes: map[int]int{429: 20429, 500: 20500, 503: 20503, 401: 20003},
		newID: func(n int) string { return fmt.Sprintf("SM%032x", n) },
	}
	fields := twilioFields()
	s.check = func(r *http.Request) (map[string]string, *refusal) {
		base := "/2010-04-01/Accounts/" + accountSID
		user, pass, ok := r.BasicAuth()
		switch {
		case !ok || user != username || pass != password:
			return nil, &refusal{401, 20003, "Authenticate"}
		case r.Method == http.MethodGet && r.URL.Path == base+".json":
			return nil, nil
		case r.Method != http.MethodPost || r.URL.Path != base+"/Messages.json":
			return nil, &refusal{404, 20404, "The requested resource was not found"}
		}
		r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
		if err := r.ParseForm(); err != nil {
			return nil, &refusal{400, 20001, "The request body cannot be read"}
		}
		got := lasts(r.PostForm)
		if wrong := unfit(fields, r.PostForm); wrong != "" {
			return nil, &refusal{400, 20001, wrong}
		}
		if got["From"] == "" && got["MessagingServiceSid"] == "" {
			return nil, &refusal{400, 21603, "A 'From' phone number is required."}
		}
		if got["Body"] == "" && got["MediaUrl"] == "" && got["ContentSid"] == "" {
			return nil, &refusal{400, 21619, "A message body, media URL or content SID is required."}
		}
		return got, magic(got["From"], got["To"])
	}
	s.accept = func(id string, fields map[string]string) any {
		return map[string]any{
			"sid": id, "status": "queued", "account_sid": accountSID, "to": fields["To"], "from": fields["From"],
			"error_code": nil, "error_message": nil, "num_segments": "1",
		}
	}
	s.refuse = func(r *refusal) any {
		return map[string]any{
			"code": r.code, "message": r.message, "status": r.status,
			"more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", r.code),
		}
	}
	return s
}
