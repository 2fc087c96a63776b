package fake

import (
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
	switch strings.TrimPrefix(to, "whatsapp:") {
	case "+15005550001":
		return &refusal{400, 21211, "The 'To' number " + to + " is not a valid phone number."}
	case "+15005550002":
		return &refusal{400, 21612, "The 'To' number " + to + " is not reachable from " + from + "."}
	case "+15005550003":
		return &refusal{400, 21408, "Permission to send to the region has not been enabled."}
	case "+15005550004":
		return &refusal{400, 21610, "Attempt to send to unsubscribed recipient."}
	case "+15005550009":
		return &refusal{400, 21614, "'To' number is not a valid mobile number: " + to}
	}
	switch strings.TrimPrefix(from, "whatsapp:") {
	case "+15005550001":
		return &refusal{400, 21212, "The 'From' number " + from + " is not a valid phone number."}
	case "+15005550007":
		return &refusal{400, 21606, "The 'From' phone number is not a valid message-capable number."}
	case "+15005550008":
		return &refusal{400, 21611, "This 'From' number has exceeded the maximum number of queued messages."}
	}
	return nil
}

// Twilio makes a fake Twilio with one account.
func Twilio(accountSID, username, password string) *Server {
	s := &Server{created: http.StatusCreated, newID: func(n int) string { return fmt.Sprintf("SM%032x", n) }}
	fields := twilioFields()
	s.check = func(r *http.Request) (request, *refusal) {
		base := "/2010-04-01/Accounts/" + accountSID
		user, pass, ok := r.BasicAuth()
		switch {
		case !ok || user != username || pass != password:
			return request{}, &refusal{401, 20003, "Authenticate"}
		case r.Method == http.MethodGet && r.URL.Path == base+".json":
			return request{}, nil
		case r.Method != http.MethodPost || r.URL.Path != base+"/Messages.json":
			return request{}, &refusal{404, 20404, "The requested resource was not found"}
		}
		r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
		if err := r.ParseForm(); err != nil {
			return request{}, &refusal{400, 20001, "The request body cannot be read"}
		}
		got := map[string]string{}
		for name, values := range r.PostForm {
			got[name] = values[0]
		}
		if wrong := unfit(fields, r.PostForm); wrong != "" {
			return request{}, &refusal{400, 20001, wrong}
		}
		if got["From"] == "" && got["MessagingServiceSid"] == "" {
			return request{}, &refusal{400, 21603, "A 'From' phone number is required."}
		}
		if got["Body"] == "" && got["MediaUrl"] == "" && got["ContentSid"] == "" {
			return request{}, &refusal{400, 21619, "A message body, media URL or content SID is required."}
		}
		return request{got["To"], got}, magic(got["From"], got["To"])
	}
	s.accept = func(id string, r request) any {
		return map[string]any{
			"sid": id, "status": "queued", "account_sid": accountSID, "to": r.to, "from": r.fields["From"],
			"error_code": nil, "error_message": nil, "num_segments": "1",
		}
	}
	s.refuse = func(r *refusal) any {
		codes := map[int]int{429: 20429, 500: 20500, 503: 20503, 401: 20003}
		if r.code == 0 {
			r.code, r.message = codes[r.status], http.StatusText(r.status)
		}
		return map[string]any{
			"code": r.code, "message": r.message, "status": r.status,
			"more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", r.code),
		}
	}
	return s
}
