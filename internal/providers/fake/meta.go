package fake

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// metaFields are those of Meta's OpenAPI description of the Cloud API's
// messages (version 23.0) that the workers may use, with nested ones joined
// by dots and numbers of lists left out.
func metaFields() []field {
	link := regexp.MustCompile(`^https?://[^/]+`)
	fields := []field{
		{name: "messaging_product", pattern: regexp.MustCompile(`^whatsapp$`), required: true},
		{name: "recipient_type", pattern: regexp.MustCompile(`^individual$`), required: true},
		{name: "to", pattern: regexp.MustCompile(`^\+?[1-9][0-9]{1,14}$`), required: true},
		{name: "type", pattern: regexp.MustCompile(`^(text|template|image|video|audio|document|sticker)$`), required: true},
		{name: "biz_opaque_callback_data", longest: 512},
		{name: "text.body", longest: 4096},
		{name: "text.preview_url", pattern: regexp.MustCompile(`^(true|false)$`)},
		{name: "template.name", longest: 512},
		{name: "template.language.policy", pattern: regexp.MustCompile(`^deterministic$`)},
		{name: "template.language.code", pattern: regexp.MustCompile(`^[a-z]{2,3}(_[A-Za-z]{2,4})?$`)},
		{name: "template.components.type", pattern: regexp.MustCompile(`^(header|body|button)$`)},
		{name: "template.components.sub_type", pattern: regexp.MustCompile(`^url$`)}, // of quick_reply, catalog and url
		{name: "template.components.index", pattern: regexp.MustCompile(`^[0-9]$`)},
		{name: "template.components.parameters.type", pattern: regexp.MustCompile(`^(text|image|video|document)$`)},
		{name: "template.components.parameters.text", longest: 32768},
		{name: "template.components.parameters.parameter_name", pattern: regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)},
	}
	for _, kind := range []string{"image", "video", "audio", "document", "sticker"} {
		fields = append(fields, field{name: kind + ".link", pattern: link})
		if kind != "audio" && kind != "sticker" {
			fields = append(fields, field{name: "template.components.parameters." + kind + ".link", pattern: link})
			fields = append(fields, field{name: kind + ".caption", longest: 1024})
		}
	}
	return fields
}

// unfitMessage returns the error of a message whose fields contradict each other,
// or nil.
func unfitMessage(body map[string]any, got map[string]string) *refusal {
	if missing := metaLacks(got); missing != "" {
		return &refusal{400, 131008, missing + " is missing"}
	}
	template, _ := body["template"].(map[string]any)
	if wrong := unfitTemplate(template); wrong != "" {
		return &refusal{400, 132012, wrong}
	}
	return nil
}

// metaLacks names the first field that is missing of those that a message of
// its type must have, or "".
func metaLacks(got map[string]string) string {
	needs := []string{got["type"] + ".link"}
	switch got["type"] {
	case "text":
		needs = []string{"text.body"}
	case "template":
		needs = []string{"template.name", "template.language.policy", "template.language.code"}
	}
	for _, name := range needs {
		if _, there := got[name]; !there {
			return name
		}
	}
	return ""
}

// noSuchObject is a subcode of the Graph API; see Meta.
const noSuchObject = 33

// Meta makes a fake Cloud API with one phone number or several.
func Meta(version, token string, phoneNumberIDs ...string) *Server {
	s := &Server{
		to: "to", created: http.StatusOK, codes: map[int]int{429: 130429, 500: 131000, 503: 131016, 401: 190},
		newID: func(n int) string { return fmt.Sprintf("wamid.%016X", n) },
	}
	fields := metaFields()
	s.check = func(r *http.Request) (map[string]string, *refusal) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			return nil, &refusal{401, 190, "Invalid OAuth access token"}
		}
		id, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"+version+"/"), "/")
		switch {
		case !slices.Contains(phoneNumberIDs, id):
			return nil, &refusal{400, noSuchObject, "Unsupported post request. Object does not exist, cannot be loaded due to missing permissions"}
		case r.Method == http.MethodGet && rest == "":
			return nil, nil
		case r.Method != http.MethodPost || rest != "messages":
			return nil, &refusal{400, 100, "Unsupported request"}
		}
		var body map[string]any
		if err := json.UnmarshalRead(http.MaxBytesReader(nil, r.Body, 1<<20), &body); err != nil {
			return nil, &refusal{400, 100, "The parameters are no JSON"}
		}
		all := map[string][]string{}
		flatten(all, "", body)
		if wrong := unfit(fields, all); wrong != "" {
			return nil, &refusal{400, 100, wrong}
		}
		got := lasts(all)
		return got, unfitMessage(body, got)
	}
	s.accept = func(id string, fields map[string]string) any {
		return map[string]any{
			"messaging_product": "whatsapp",
			"contacts":          []any{map[string]string{"input": fields["to"], "wa_id": strings.TrimPrefix(fields["to"], "+")}},
			"messages":          []any{map[string]string{"id": id, "message_status": "accepted"}},
		}
	}
	s.refuse = func(r *refusal) any {
		answer := map[string]any{
			"message": fmt.Sprintf("(#%d) %s", r.code, r.message), "type": "OAuthException", "code": r.code, "fbtrace_id": "AFake",
		}
		if r.code == noSuchObject { // the Graph API's way of saying it
			answer["code"], answer["error_subcode"], answer["type"] = 100, noSuchObject, "GraphMethodException"
		}
		return map[string]any{"error": answer}
	}
	return s
}

// lasts returns the last value of each field, for the ledger.
func lasts(all map[string][]string) map[string]string {
	got := make(map[string]string, len(all))
	for name, values := range all {
		got[name] = values[len(values)-1]
	}
	return got
}

// flatten names nested members by their path. The elements of a list share
// its path, in their order.
func flatten(into map[string][]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			flatten(into, strings.TrimPrefix(path+"."+name, "."), member)
		}
	case []any:
		for _, element := range v {
			flatten(into, path, element)
		}
	default:
		into[path] = append(into[path], fmt.Sprint(v))
	}
}
