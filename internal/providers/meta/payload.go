package meta

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"messaging-worker/internal/providers/api"
)

// object is a JSON object to be sent.
type object map[string]any

// payload is the body of a call. Its error is an *api.Error.
func (c *Client) payload(m *api.Message) (object, error) {
	p := object{"messaging_product": "whatsapp", "recipient_type": "individual", "to": m.To}
	switch m.Kind {
	case "template":
		t, err := template(m)
		if err != nil {
			return nil, err
		}
		p["type"], p["template"] = "template", t
	case "media":
		kind, media := mediaKind(m.MediaType), object{"link": m.Body}
		if caption := m.Meta[api.MetaCaption]; caption != "" && kind != "audio" && kind != "sticker" { // these take none
			media["caption"] = caption
		}
		p["type"], p[kind] = kind, media
	default:
		p["type"], p["text"] = "text", object{"body": m.Body, "preview_url": false}
	}
	if c.opts.CallbackData {
		p["biz_opaque_callback_data"] = m.ID
	}
	return p, nil
}

// mediaKind is what Meta calls a MIME type's kind.
func mediaKind(mime string) string {
	mime, _, _ = strings.Cut(strings.ToLower(mime), ";")
	switch kind, _, _ := strings.Cut(strings.TrimSpace(mime), "/"); {
	case strings.TrimSpace(mime) == "image/webp":
		return "sticker"
	case kind == "image", kind == "video", kind == "audio":
		return kind
	}
	return "document"
}

// template writes a template and what fills it as Meta's OpenAPI description
// has it. Its error is an *api.Error. A button of a one-time code is one of
// sub_type url, whatever it does with the code
// (developers.facebook.com/docs/whatsapp/business-management-api/authentication-templates).
func template(m *api.Message) (object, error) {
	t := object{"name": m.Body, "language": object{"policy": "deterministic", "code": cmp.Or(m.Meta[api.MetaLanguage], "en_US")}}
	var components []object
	for kind, value := range m.Variables(api.InHeader) { // one: a request with several does not validate
		components = append(components, object{"type": "header", "parameters": []object{header(kind, value)}})
	}
	body, err := body(m.Variables(api.InBody))
	if err != nil {
		return nil, err
	}
	if body != nil {
		components = append(components, object{"type": "body", "parameters": body})
	}
	buttons := m.Variables(api.InButton)
	for _, index := range slices.Sorted(maps.Keys(buttons)) {
		components = append(components, object{
			"type": "button", "sub_type": "url", "index": index, "parameters": []object{{"type": "text", "text": buttons[index]}},
		})
	}
	if components != nil {
		t["components"] = components
	}
	return t, nil
}

func header(kind, value string) object {
	if kind == api.HeaderText {
		return object{"type": "text", "text": value}
	}
	return object{"type": kind, kind: object{"link": value}}
}

// body fills a template's body: with numbered variables in their order, or
// with named ones where any has a name. A missing number would have all behind
// it fill the wrong variables: that is refused.
func body(variables map[string]string) ([]object, error) {
	var list []object
	names := slices.Sorted(maps.Keys(variables))
	named := slices.ContainsFunc(names, func(name string) bool { return !isNumber(name) })
	if !named { // "2" goes before "10"
		slices.SortStableFunc(names, func(a, b string) int { return len(a) - len(b) })
	}
	for i, key := range names {
		p := object{"type": "text", "text": variables[key]}
		switch {
		case named:
			p["parameter_name"] = key
		case key != strconv.Itoa(i+1):
			return nil, &api.Error{
				Provider: name, Message: fmt.Sprintf("the template's variables leave out template.%d", i+1), Class: api.Permanent,
			}
		}
		list = append(list, p)
	}
	return list, nil
}

func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 31)
	return err == nil && strconv.FormatUint(n, 10) == s
}
