package meta

// Template is a message template and what fills it.
type Template struct {
	Name, Language string
	Header         *Header // nil for one that nothing fills
	Body           []Parameter
	Buttons        []Button
}

// Header fills a template's header. Kind is text, image, video or document;
// Value is the text, or the link of the file.
type Header struct{ Kind, Value string }

// Parameter fills one place of a body. Name is empty for numbered places.
type Parameter struct{ Name, Text string }

// Button fills a button: the end of its URL, or the code that it copies. Index
// counts a template's buttons from "0".
type Button struct{ Index, Text string }

// object writes the template as Meta's OpenAPI description has it. A button of
// a one-time code is one of sub_type url, whatever it does with the code
// (developers.facebook.com/docs/whatsapp/business-management-api/authentication-templates).
func (t *Template) object() object {
	o := object{"name": t.Name, "language": object{"policy": "deterministic", "code": t.Language}}
	var components []object
	if t.Header != nil {
		components = append(components, object{"type": "header", "parameters": []object{t.Header.object()}})
	}
	var parameters []object
	for _, p := range t.Body {
		parameters = append(parameters, p.object())
	}
	if parameters != nil {
		components = append(components, object{"type": "body", "parameters": parameters})
	}
	for _, b := range t.Buttons {
		components = append(components, object{
			"type": "button", "sub_type": "url", "index": b.Index, "parameters": []object{{"type": "text", "text": b.Text}},
		})
	}
	if components != nil {
		o["components"] = components
	}
	return o
}

func (h *Header) object() object {
	if h.Kind == "text" {
		return object{"type": "text", "text": h.Value}
	}
	return object{"type": h.Kind, h.Kind: object{"link": h.Value}}
}

func (p *Parameter) object() object {
	o := object{"type": "text", "text": p.Text}
	if p.Name != "" {
		o["parameter_name"] = p.Name
	}
	return o
}
