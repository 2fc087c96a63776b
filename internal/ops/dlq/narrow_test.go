package dlq

import (
	"strings"
	"testing"

	"messaging-worker/internal/models"
)

func TestNarrow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, request, failed, want string
		left                        int
	}{
		{
			"some of to", `{"to": [ "a@x.org", "b@x.org" ,"c@x.org"], "n":1.0}`, "a@x.org,c@x.org",
			`{"to": ["a@x.org","c@x.org"], "n":1.0}`, 2,
		},
		{
			"a comma inside of a quoted mailbox", `{"to":["\"a,b\"@x.org","b@x.org","\"c,\\\"d\"@x.org"],"cc":[]}`,
			`"a,b"@x.org,"c,\"d"@x.org`, `{"to":["\"a,b\"@x.org","\"c,\\\"d\"@x.org"],"cc":[]}`, 2,
		},
		{
			"entries keep their spelling", `{"to":[" \u0061@x.org ","b@x.org"]}`, "a@x.org", `{"to":[" \u0061@x.org "]}`, 1,
		},
		{
			"cc and bcc", `{"to":["a@x.org"],"cc":["b@x.org","c@x.org"],"bcc":["d@x.org","e@x.org"]}`, "a@x.org,c@x.org,e@x.org",
			`{"to":["a@x.org"],"cc":["c@x.org"],"bcc":["e@x.org"]}`, 3,
		},
		{
			"cc moves to an empty to", `{"to":["a@x.org"],"cc":["b@x.org","c@x.org"],"bcc":["d@x.org"]}`, "b@x.org,c@x.org,d@x.org",
			`{"to":["b@x.org","c@x.org"],"cc":[],"bcc":["d@x.org"]}`, 3,
		},
		{
			"a single bcc moves to an empty to", `{"bcc":["d@x.org","e@x.org"],"to":["a@x.org"],"cc":null}`, "e@x.org",
			`{"bcc":[],"to":["e@x.org"],"cc":null}`, 1,
		},
		{
			"a repeated recipient is kept once", `{"to":["a@X.org","b@x.org"],"cc":["a@x.org"]}`, "a@X.org",
			`{"to":["a@X.org"],"cc":[]}`, 1,
		},
		{
			"one address begins with another", `{"to":["a@x.or","a@x.org","a@x.or.g"]}`, "a@x.org,a@x.or.g",
			`{"to":["a@x.org","a@x.or.g"]}`, 2,
		},
	} {
		got, left, err := narrow([]byte(tt.request), models.Email, map[string]string{models.MetaFailedRecipients: tt.failed})
		if err != nil || string(got) != tt.want || left != tt.left {
			t.Errorf("%s: narrow = %s, %d, %v, want %s, %d", tt.name, got, left, err, tt.want, tt.left)
		}
	}
}

func TestNarrowLooksOnlyAtTheChannelsLists(t *testing.T) {
	t.Parallel()
	meta := map[string]string{models.MetaFailedRecipients: "+12"}
	got, left, err := narrow([]byte(`{"to":["+11","+12"],"cc":"whatever"}`), models.SMS, meta)
	if want := `{"to":["+12"],"cc":"whatever"}`; err != nil || string(got) != want || left != 1 {
		t.Errorf("narrow = %s, %d, %v, want %s", got, left, err, want)
	}
	whole := []byte(`{"to":["+11"]}`)
	if got, left, err := narrow(whole, models.SMS, nil); err != nil || string(got) != string(whole) || left != 0 {
		t.Errorf("narrow without a list = %s, %d, %v, want the request", got, left, err)
	}
}

func TestNarrowRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ request, failed, want string }{
		{`{"to":["a@x.org"]}`, "b@x.org", "does not match"},
		{`{"to":["a@x.org","b@x.org"]}`, "b@x.org,a@x.org", "does not match"},
		{`{"to":["a@x.org","b@x.org"]}`, "a@x.org,", "does not match"},
		{`{"to":["a@x.org"]}`, "", "does not match"},
		{`{"to":["a@x.org"],"bcc":["b@x.org","c@x.org"]}`, "b@x.org,c@x.org", "only bcc"},
		{`{"to":["a@x.org"],"meta":{" failed_recipients ":"a@x.org "}}`, "a@x.org", "own meta"},
		{`{"to":"a@x.org"}`, "a@x.org", "read the request"},
	} {
		got, _, err := narrow([]byte(tt.request), models.Email, map[string]string{models.MetaFailedRecipients: tt.failed})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("narrow(%s, %s) = %s, %v, want an error with %q", tt.request, tt.failed, got, err, tt.want)
		}
	}
}
