package validation_test

import (
	"fmt"

	"messaging-worker/internal/models"
)

// templates has the entries of meta that fill a template of WhatsApp.
func templates() []vector {
	var list []vector
	add := func(name, meta string, want ...string) {
		list = append(list, vector{"template, " + name, models.WhatsApp, edit{"body": `{"type":"template","content":"otp"}`, "meta": meta}, want})
	}
	path := func(key string) string { return fmt.Sprintf("meta[%q]", key) }
	add("one-time code", `{"template.1":"123456","template.button.0":"123456"}`)
	add("padded names and values", `{" template.1":" 123456 "," template.button.0\t":" 123456","template.header.image\u00a0":" https://example.com/a.png\n"}`)
	add("named variables", `{"template.name":"Ada","template.header":"x","template.button":"y","template.headers.x":"z","template.a.b":"c","template.":"","template":"","template.language":"de"}`)
	add("empty texts", `{"template.1":"","template.header.text":"","template.button.0":""}`)
	for _, kind := range []string{"image", "video", "document"} {
		key := "template.header." + kind
		add("header of "+kind, `{"`+key+`":"https://example.com/a"}`)
		for _, bad := range []string{"", "a.png", "ftp://example.com/a", "https://u:p@example.com/", "//example.com/a", "https://exa mple.com/"} {
			add("header of "+kind+" at "+bad, `{"`+key+`":`+quote(bad)+`}`, path(key))
		}
	}
	add("header of a text", `{"template.header.text":"not a URL"}`)
	add("header is a number", `{"template.header.image":1}`, path("template.header.image"))
	for _, key := range []string{
		"template.header.", "template.header.foo", "template.header.Image", "template.header.audio", "template.header.text.1", "template.header.1",
		"template.button.", "template.button.x", "template.button.-1", "template.button.+1", "template.button.10", "template.button.00", "template.button.007",
		"template.button.0.text", "template.button.1e0", "template.button.\u0661", "template.button. 1",
	} {
		add(key, `{`+quote(key)+`:"https://example.com/a"}`, path(key))
	}
	add("two headers", `{"template.header.text":"a","template.header.image":"https://example.com/a"}`, path("template.header.text"))
	add("two headers of media", `{"template.header.video":"https://example.com/a","template.header.document":"https://example.com/a"}`, path("template.header.video"))
	add("all that can be wrong", `{"template.header.text":"a","template.header.image":"a","template.header.foo":"","template.button.x":""}`,
		path("template.button.x"), path("template.header.foo"), path("template.header.text"), path("template.header.image"))
	for _, body := range []string{`{"content":"x"}`, `{"type":"media","content":"https://example.com/a","media_type":"image/png"}`} {
		list = append(list, vector{"no template, and what would fill one", models.WhatsApp, edit{
			"body": body, "meta": `{"template.header.foo":"","template.button.x":"","template.header.text":"","template.header.image":""}`,
		}, nil})
	}
	list = append(list, vector{"a template of sms", models.SMS, edit{"meta": `{"template.header.foo":"","template.button.x":""}`}, nil})
	return list
}
