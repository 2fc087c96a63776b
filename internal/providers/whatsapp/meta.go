package whatsapp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/meta"
)

// Meta delivers WhatsApp messages through Meta's Cloud API.
type Meta struct{ client *meta.Client }

// NewMeta makes a provider of a client.
func NewMeta(c *meta.Client) *Meta { return &Meta{c} }

// Send makes one call. Its errors are *api.Error and *api.ConnectionError.
func (p *Meta) Send(ctx context.Context, m Message) (api.Receipt, error) {
	out := meta.Message{ID: m.ID, From: m.From, To: m.To}
	switch m.Kind {
	case "template":
		t, err := template(m)
		if err != nil {
			return api.Receipt{}, err
		}
		out.Template = t
	case "media":
		out.Media = &meta.Media{Kind: mediaKind(m.MIME), Link: m.Body}
		if out.Media.Kind != "audio" && out.Media.Kind != "sticker" { // these take none
			out.Media.Caption = m.Meta[metaCaption]
		}
	default:
		out.Text = m.Body
	}
	return p.client.Send(ctx, out)
}

// Probe asks whether Meta is there and lets us in.
func (p *Meta) Probe(ctx context.Context) error { return p.client.Probe(ctx) }

// template fills a template: its body, and where meta has them its header and
// its buttons. The header is one: a request with several does not validate.
func template(m Message) (*meta.Template, error) {
	t := &meta.Template{Name: m.Body, Language: m.Meta[metaLanguage]}
	if t.Language == "" {
		t.Language = "en_US"
	}
	for kind, value := range m.variables(InHeader) {
		t.Header = &meta.Header{Kind: kind, Value: value}
	}
	buttons := m.variables(InButton)
	for _, index := range slices.Sorted(maps.Keys(buttons)) {
		t.Buttons = append(t.Buttons, meta.Button{Index: index, Text: buttons[index]})
	}
	var err error
	t.Body, err = body(m.variables(InBody))
	return t, err
}

// body fills a template's body: with numbered variables in their order, or
// with named ones where any has a name. A number that is left out would have
// all behind it fill the wrong places: that is refused.
func body(variables map[string]string) ([]meta.Parameter, error) {
	var list []meta.Parameter
	names := slices.SortedFunc(maps.Keys(variables), byNumber)
	named := slices.ContainsFunc(names, func(name string) bool { return !isNumber(name) })
	for i, name := range names {
		p := meta.Parameter{Text: variables[name]}
		switch {
		case named:
			p.Name = name
		case name != strconv.Itoa(i+1):
			return nil, &api.Error{
				Provider: "Meta", Message: fmt.Sprintf("the template's variables leave out template.%d", i+1), Class: api.Permanent,
			}
		}
		list = append(list, p)
	}
	return list, nil
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

func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 31)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// byNumber sorts "2" before "10", and numbers before names.
func byNumber(a, b string) int {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	switch {
	case errX == nil && errY == nil:
		return x - y
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}
