package validation_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"messaging-worker/internal/models"
)

// everywhere makes a vector of each channel.
func everywhere(name string, edits edit, want ...string) []vector {
	var list []vector
	for _, channel := range models.Channels() {
		list = append(list, vector{name, channel, edits, want})
	}
	return list
}

// all collects vectors that hold on every channel.
type all []vector

func (a *all) add(name string, edits edit, want ...string) {
	*a = append(*a, everywhere(name, edits, want...)...)
}

func envelopes() []vector {
	var a all
	for name, id := range map[string]string{
		"version 1": "1e8f3b1b-4d0d-1bd3-9c86-2f72c7808c61", "version 7": "0190163d-8694-739b-aea5-966c26f8ad91",
		"another variant": "1e8f3b1b-4d0d-4bd3-cc86-2f72c7808c61", "no hyphens": "1e8f3b1b4d0d4bd39c862f72c7808c61",
		"braces": "{" + id + "}", "a URN": "urn:uuid:" + id, "a letter too many": id + "1", "no hex": strings.Replace(id, "1", "g", 1), "blank": " ",
	} {
		a.add("id: "+name, edit{"message_id": `"` + id + `"`}, "message_id")
	}
	for name, space := range map[string]string{
		"next line": `\u0085`, "no-break space": `\u00a0`, "line separator": `\u2028`, "ideographic space": `\u3000`, "vertical tab": `\u000b`,
	} {
		a.add("id and channel in "+name, edit{"message_id": `"` + space + id + space + `"`}) // trimmed
	}
	a.add("id behind a byte order mark", edit{"message_id": `"\ufeff` + id + `"`}, "message_id")
	a.add("id behind a zero-width space", edit{"message_id": `"\u200b` + id + `"`}, "message_id")
	for _, required := range []string{"message_id", "channel", "created_at", "from", "to"} {
		a.add(required+" left out", edit{required: ""}, required)
		a.add(required+" is null", edit{required: `null`}, required)
		a.add(required+" is an object", edit{required: `{}`}, required)
	}
	for body, path := range map[string]string{"": "body.content", `{}`: "body.content", `{"content":null}`: "body.content", `{"content":7}`: "body.content", `"x"`: "body"} {
		a.add("body "+body, edit{"body": body}, path)
	}
	a.add("channel of another case", edit{"channel": `"Email"`}, "channel")
	a.add("channel is a list", edit{"channel": `["sms"]`}, "channel")
	for _, good := range []string{
		"2024-02-29T23:59:59.9Z", "2000-02-29T00:00:00Z", "0000-02-29T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999+00:00",
		"2025-10-16T09:30:00.123456789123Z", " 2025-10-16T09:30:00Z\\t",
	} {
		a.add("time "+good, edit{"created_at": `"` + good + `"`})
	}
	for _, bad := range []string{
		"2025-10-16", "2025-10-16T09:30:00", "2025-10-16t09:30:00Z", "2025-10-16T09:30:00z", "2025-10-16 09:30:00Z", "2025-10-16T09:30:00-00:00",
		"2025-10-16T09:30:60Z", "2025-10-16T24:00:00Z", "2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2025-04-31T00:00:00Z", "2025-13-01T00:00:00Z",
		"2025-00-01T00:00:00Z", "2025-01-00T00:00:00Z", "2025-10-16T9:30:00Z", "2025-10-16T09:30:00.Z", "2025-10-16T09:30:00,5Z", "20251-10-16T09:30:00Z", "2025-10-16T09:30Z",
	} {
		a.add("time "+bad, edit{"created_at": `"` + bad + `"`}, "created_at")
	}
	a.add("time is a number", edit{"created_at": `1760607000`}, "created_at")
	a.add("null trace", edit{"trace_id": `null`})
	a.add("trace is a list", edit{"trace_id": `[]`}, "trace_id")
	a.add("blank tenant", edit{"tenant_id": `" "`})
	a.add("empty meta", edit{"meta": `{}`})
	a.add("meta is a text", edit{"meta": `"a"`}, "meta")
	a.add("an object in meta", edit{"meta": `{"a":{"b":"c"}}`}, `meta["a"]`)
	a.add("a list in meta", edit{"meta": `{"a":["b"]}`}, `meta["a"]`)
	a.add("an empty name in meta", edit{"meta": `{"":""}`})
	a.add("twins in meta", edit{"meta": `{"a":"1"," a":"2"}`}, `meta["a"]`)
	a.add("a padded name of 128 runes", edit{"meta": `{" ` + strings.Repeat("k", 128) + `":""}`})
	a.add("a padded value of 1024 runes", edit{"meta": `{"a":"` + strings.Repeat("v", 1024) + ` "}`})
	a.add("members named like ours in another case", edit{"Message_ID": `1`, "TO": `2`, "Body": `3`})
	a.add("__proto__", edit{"__proto__": `{"to":1}`})
	return a
}

func addresses() []vector {
	e, s, w := models.Email, models.SMS, models.WhatsApp
	var list []vector
	for _, number := range []string{"+12", "+123456789012345", " +15551234567\\n"} {
		list = append(list, vector{"from " + number, s, edit{"from": `"` + number + `"`}, nil}, vector{"to " + number, w, edit{"to": `["` + number + `"]`}, nil})
	}
	for _, number := range []string{"+1", "+", "+05551234567", "+1234567890123456", "+1555 123", "+1555a", "++155", "+１２３", "whatsapp:+15551234567", "+1-555-1234567", "00155512345"} {
		list = append(
			list, vector{"from " + number, w, edit{"from": `"` + number + `"`}, []string{"from"}},
			vector{"to " + number, s, edit{"to": `["+15557654321","` + number + `"]`}, []string{"to[1]"}},
		)
	}
	local64, label63 := strings.Repeat("l", 64), strings.Repeat("d", 63)
	long := local64 + "@" + label63 + "." + label63 + "." // 193 octets
	for _, mailbox := range []string{
		"a@b", "user+tag@example.co.uk", "o'brien@example.com", "!#$%&'*+-/=?^_`{|}~@example.com", `"quoted local"@example.com`, `"a@b"@example.com`,
		`"a\"b"@example.com`, `"a\\"@example.com`, `""@example.com`, `">x"@example.com`, `" "@example.com`, "user@[192.0.2.1]", "user@[255.255.255.255]",
		"user@[IPv6:2001:db8::1]", "user@[ipv6:::1]", "user@[IPv6:::]", "user@[IPv6:1:2:3:4:5:6:7:8]", "user@[IPv6:1:2:3:4:5:6:7::]", "user@[IPv6:::2:3:4:5:6:7:8]",
		"user@[IPv6:::ffff:192.0.2.1]", "user@[IPv6:1:2:3:4:5:6:192.0.2.1]", "user@[IPv6:64:ff9b::192.0.2.33]", "user@[IPv6:1::192.0.2.1]",
		"käse@example.com", "user@bücher.example", "用户@例子.广告", `"käse brot"@example.com`, "👋@example.com", "user@localhost", "user@123.456", "user@a-b.example",
		local64 + "@example.com", `"` + strings.Repeat("q", 62) + `"@example.com`, "user@" + label63 + ".com", long + strings.Repeat("d", 61), " user@example.com ", "user@a--b.com",
	} {
		list = append(list, vector{"mailbox " + mailbox, e, edit{"from": quote(mailbox), "bcc": "[" + quote(mailbox) + "]"}, nil})
	}
	for _, mailbox := range []string{
		"@", "user", "user@", "@example.com", "user@@example.com", "user@a@b", ".user@example.com", "user.@example.com", "us..er@example.com", "us er@example.com",
		"user@exam ple.com", "User <user@example.com>", "<user@example.com>", "user(comment)@example.com", "user@-a.com", "user@a-.com", "user@a..com", "user@.com",
		"user@a.com.", "user@a_b.com", "user@example.com\r\nRCPT TO:<x@y>", "us\ner@example.com", "user@example.com\x00", `"a"b"@example.com`, `"a@example.com`,
		`"a\"@example.com`, "\"a\nb\"@example.com", `u@example.com> ORCPT=rfc822;admin@x.com`, `"x"y@example.com`, `a"b"@example.com`, "user@[192.0.2.256]",
		"user@[192.0.2]", "user@[192.0.02.1]", "user@[2001:db8::1]", "user@[IPv6:192.0.2.1]", "user@[IPv6:fe80::1%eth0]", "user@[IPv6:1:2:3:4:5:6:7]",
		"user@[IPv6:1:2:3:4:5:6:7:8:9]", "user@[IPv6:1:2:3:4:5:6:7:8::]", "user@[IPv6:::1::2]", "user@[IPv6::]", "user@[IPv6:12345::1]", "user@[IPv6:]",
		"user@[IPv6:1:2:3:4:5:6:7:192.0.2.1]", "user@[IPv6:1:2:3:4:5::6:192.0.2.1:1]", "user@[IPv6:192.0.2.1::]",
		"user@[]", "user@[tag:content]", "user@[192.0.2.1", "l" + local64 + "@example.com", `"` + strings.Repeat("q", 63) + `"@example.com`, long + strings.Repeat("d", 62),
		"user@" + label63 + "d.com", "user\u202e@example.com", "us\u00a0er@example.com", "user@exa\u2028mple.com", "user@exa\u200bmple.com", "\ufeffuser@example.com",
		"user\ue000@example.com", "user\u00ad@example.com", "user@例\u3000子.广告", "\"a\\é\"@example.com", "\"a\tb\"@example.com", "",
	} {
		list = append(
			list, vector{"mailbox " + mailbox, e, edit{"to": `["a@b.c",` + quote(mailbox) + `]`}, []string{"to[1]"}},
		)
	}
	return append(
		list,
		vector{"64 letters of two octets", e, edit{"from": `"` + strings.Repeat("ä", 64) + `@example.com"`}, []string{"from"}},
		vector{"32 letters of two octets", e, edit{"from": `"` + strings.Repeat("ä", 32) + `@example.com"`}, nil},
		vector{"label of 63 letters of two octets", e, edit{"from": `"u@` + strings.Repeat("ä", 63) + `.com"`}, []string{"from"}},
		vector{"200 letters of two octets", e, edit{"from": `"u@` + strings.Repeat("ää.", 66) + `com"`}, []string{"from"}},
		vector{"from is a list", e, edit{"from": `["a@b.c"]`}, []string{"from"}},
		vector{"from is null", w, edit{"from": `null`}, []string{"from"}},
		vector{"to is null", w, edit{"to": `null`}, []string{"to"}},
		vector{"to is an object", e, edit{"to": `{"0":"a@b.c"}`}, []string{"to"}},
		vector{"lists in to", e, edit{"to": `[["a@b.c"]]`}, []string{"to[0]"}},
		vector{"blank number in to", s, edit{"to": `[" "]`}, []string{"to[0]"}},
		vector{"null cc and bcc", e, edit{"cc": `null`, "bcc": `null`}, nil},
		vector{"null in cc", e, edit{"cc": `[null]`}, []string{"cc[0]"}},
		vector{"cc is a text", e, edit{"cc": `"a@b.c"`}, []string{"cc"}},
		vector{"100 in each list", e, edit{"to": repeat(`"a@b.c"`, 100), "cc": repeat(`"a@b.c"`, 100), "bcc": repeat(`"a@b.c"`, 100)}, nil},
		vector{"101 in to", e, edit{"to": repeat(`"a@b.c"`, 101)}, []string{"to"}},
		vector{"101 in bcc", e, edit{"bcc": repeat(`"a@b.c"`, 101)}, []string{"bcc"}},
		vector{"cc of an SMS is not read", s, edit{"cc": `5`, "bcc": `["x"]`, "subject": `5`}, nil},
	)
}

func bodies() []vector {
	e, s, w := models.Email, models.SMS, models.WhatsApp
	var a all
	a.add("body is null", edit{"body": `null`}, "body.content")
	a.add("body is a list", edit{"body": `[]`}, "body")
	a.add("empty body", edit{"body": `{}`}, "body.content")
	a.add("content is null", edit{"body": `{"content":null}`}, "body.content")
	a.add("content of no-break spaces", edit{"body": `{"content":"\u00a0\u3000\u0085"}`}, "body.content")
	a.add("content of a zero-width space", edit{"body": `{"content":"\u200b"}`})
	a.add("blank type is the default", edit{"body": `{"type":" ","content":"x"}`})
	a.add("padded type", edit{"body": `{"type":" text\n","content":"x"}`})
	a.add("type of another case", edit{"body": `{"type":"Text","content":"x"}`}, "body.type")
	a.add("type is a number", edit{"body": `{"type":1,"content":"x"}`}, "body.type")
	a.add("media type without meaning", edit{"body": `{"content":"x","media_type":"nonsense"}`})
	a.add("media type is a number", edit{"body": `{"content":"x","media_type":1}`}, "body.media_type")
	a.add("media type is null", edit{"body": `{"content":"x","media_type":null}`})
	a.add("unknown members of the body", edit{"body": `{"content":"x","Content":5,"x":{}}`})
	a.add("content with every escape", edit{"body": `{"content":"\"\\\/\b\f\n\r\t\u00e4\ud83d\udc4b"}`})
	list := append(
		[]vector(a),
		vector{"1600 runes beyond the BMP", s, edit{"body": `{"content":"` + strings.Repeat("👋", 1600) + `"}`}, nil},
		vector{"1601 runes beyond the BMP", s, edit{"body": `{"content":"` + strings.Repeat("👋", 1601) + `"}`}, []string{"body.content"}},
		vector{"1600 runes and a space", s, edit{"body": `{"content":"` + strings.Repeat("a", 1600) + ` "}`}, []string{"body.content"}},
		vector{"template in sms", s, edit{"body": `{"type":"template","content":"x"}`}, []string{"body.type"}},
		vector{"media in sms", s, edit{"body": `{"type":"media","content":"https://example.com/a","media_type":"image/png"}`}, []string{"body.type"}},
		vector{"media in email", e, edit{"body": `{"type":"media","content":"https://example.com/a","media_type":"image/png"}`}, []string{"body.type"}},
		vector{"2 MiB of letters of two bytes", e, edit{"body": `{"content":"` + strings.Repeat("ä", 1<<20) + `"}`}, nil},
		vector{"2 MiB of letters of two bytes, and one", e, edit{"body": `{"content":"` + strings.Repeat("ä", 1<<20+1) + `"}`}, []string{"body.content"}},
		vector{"4096 bytes in 2048 letters", w, edit{"body": `{"content":"` + strings.Repeat("ä", 2048) + `"}`}, nil},
		vector{"4098 bytes in 2049 letters", w, edit{"body": `{"content":"` + strings.Repeat("ä", 2049) + `"}`}, []string{"body.content"}},
		vector{"media of null type", w, edit{"body": `{"type":"media","content":"https://example.com/a","media_type":null}`}, []string{"body.media_type"}},
		vector{"media, padded", w, edit{"body": `{"type":" media ","content":"https://example.com/a","media_type":" image/png\t"}`}, nil},
		vector{"blank media", w, edit{"body": `{"type":"media","content":" ","media_type":"image/png"}`}, []string{"body.content"}},
		vector{"padded media URL", w, edit{"body": `{"type":"media","content":" https://example.com/a","media_type":"image/png"}`}, []string{"body.content"}},
		vector{"host with a zone", w, edit{"body": `{"type":"media","content":"http://[fe80::1%25eth0]/a","media_type":"image/png"}`}, nil},
	)
	for _, url := range []string{
		"http://example.com", "HTTPS://example.com/", "https://example.com/a.png?x=1&y=%zz#top", "https://[::1]:8443/x", "http://example.com:/", "http://bücher.example/ü",
		"http://a_b.example/", "http://example.com/@x:y", "http://example.com?x", "http://example.com#x", "http://example.com//a//b", "http://example.com/a/%C3%BC", "http://192.0.2.1:80/", "http://a]b]/",
	} {
		list = append(list, vector{"media at " + url, w, edit{"body": `{"type":"media","content":` + quote(url) + `,"media_type":"image/png"}`}, nil})
	}
	for _, url := range []string{
		"ftp://example.com/a", "http://", "http:///x", "http:example.com", "//example.com/a", "https://u:p@example.com/", "https://u@example.com/", "http://exa mple.com", "http://example.com/\n",
		"http://example.com/%zz", "http://:80/", "http://example.com:80:80/", "http://example.com:http/", "http://[::1/", "http://[::g]/", "javascript:alert(1)", "http://example.com/\u00a0x", "http://exa%20mple.com/", "http://example.com/#%x", "http://ex|ample.com/",
	} {
		list = append(list, vector{"media at " + url, w, edit{"body": `{"type":"media","content":` + quote(url) + `,"media_type":"image/png"}`}, []string{"body.content"}})
	}
	for mime, valid := range map[string]bool{
		"application/vnd.ms-excel": true, "audio/ogg": true, "image/svg+xml": true, "a/b": true, "image/" + strings.Repeat("x", 127): true,
		"image": false, "image/": false, "/png": false, "image/png; q=1": true, `a/b ;x="1\";"; y=2;`: true, "image/png;;": false, "image/png; q": false, `image/png; q="1`: false, "image/p ng": false, "image/png/x": false, "-x/y": false, "image/ü": false, "image/" + strings.Repeat("x", 128): false, " ": false,
	} {
		v := vector{"media type " + mime, w, edit{"body": `{"type":"media","content":"https://example.com/a","media_type":` + quote(mime) + `}`}, nil}
		if !valid {
			v.want = []string{"body.media_type"}
		}
		list = append(list, v)
	}
	return list
}

func emailHeaders() []vector {
	e := models.Email
	list := []vector{
		{"subject is a number", e, edit{"subject": `5`}, []string{"subject"}},
		{"null subject", e, edit{"subject": `null`}, nil},
		{"empty subject", e, edit{"subject": `""`}, nil},
		{"subject in line breaks", e, edit{"subject": `"\r\na\r\n"`}, nil}, // trimmed
		{"padded subject of 255 runes", e, edit{"subject": `" ` + strings.Repeat("s", 255) + `"`}, nil},
		{"padded name of a header", e, edit{"meta": `{" email.reply_to ":"x"}`}, []string{`meta["email.reply_to"]`}},
		{"padded reply_to", e, edit{"meta": `{"email.reply_to":" help@example.com "}`}, nil},
	}
	for i, c := range []string{`\u0000`, `\u0008`, `\n`, `\u000b`, `\u001b`, `\u007f`, `\u0085`, `\u009f`} {
		list = append(list, vector{fmt.Sprint("control character ", i, " in subject"), e, edit{"subject": `"a` + c + `b"`}, []string{"subject"}})
	}
	for _, url := range []string{"https://example.com", "HTTPS://Example.com:443/a-b_c~d/?q=(x)*'!$;:@/?#f", "https://[2001:db8::1]/u"} {
		list = append(list, vector{"list_unsubscribe " + url, e, edit{"meta": `{"email.list_unsubscribe":` + quote(url) + `}`}, nil})
	}
	for _, url := range []string{"https://", "https://u@example.com/", "https://example.com/%zz", `https://example.com/a\b`, "https://example.com/{x}", "https://example.com/a|b", "https://example.com/^", "https://ex<ample.com/", "https://example.com:x/"} {
		list = append(list, vector{"list_unsubscribe " + url, e, edit{"meta": `{"email.list_unsubscribe":` + quote(url) + `}`}, []string{`meta["email.list_unsubscribe"]`}})
	}
	return list
}

// quote writes a text as JSON.
func quote(text string) string { return quoteValue(text) }

// quoteValue writes a value as JSON.
func quoteValue(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
