package meta

import (
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
