package fake

import (
	"fmt"
	"unicode/utf8"
)

// Limits of what fills a template, in characters: that of a header of text,
// and of a one-time code (developers.facebook.com/docs/whatsapp,
// "Components" and "Authentication templates").
const (
	longestHeader = 60
	longestCode   = 15
)

// unfitTemplate says what is wrong with a template's components beyond the
// fields that they have, or "". Source: TemplateComponent of Meta's OpenAPI
// description (version 23.0).
func unfitTemplate(template map[string]any) string {
	components, _ := template["components"].([]any)
	seen, texts := map[string]bool{}, map[string]string{} // the latter of a lone parameter
	for i, element := range components {
		c, _ := element.(map[string]any)
		kind := fmt.Sprint(c["type"])
		place := kind
		if kind == "button" {
			place = fmt.Sprint("button ", c["index"])
		}
		if seen[place] {
			return "components has two of " + place
		}
		seen[place] = true
		if wrong := unfitComponent(kind, c); wrong != "" {
			return fmt.Sprintf("components[%d]: %s", i, wrong)
		}
		if parameters, _ := c["parameters"].([]any); len(parameters) == 1 {
			p, _ := parameters[0].(map[string]any)
			texts[kind], _ = p["text"].(string)
		}
	}
	// A one-time code fills both the body and the button.
	if code := texts["button"]; code == texts["body"] && utf8.RuneCountInString(code) > longestCode {
		return fmt.Sprintf("the code has more than %d characters", longestCode)
	}
	return ""
}

func unfitComponent(kind string, c map[string]any) string {
	parameters, _ := c["parameters"].([]any)
	_, isButton := c["sub_type"]
	_, isNumbered := c["index"].(string)
	switch {
	case (kind == "button") != isButton, (kind == "button") != isNumbered:
		return "sub_type and index, a text, are there for a button alone"
	case len(parameters) == 0:
		return "parameters is missing"
	case kind != "body" && len(parameters) > 1:
		return "more than one parameter"
	}
	for _, element := range parameters {
		if wrong := unfitParameter(kind, element); wrong != "" {
			return wrong
		}
	}
	return ""
}

// unfitParameter says what is wrong with one parameter of a component, or "".
func unfitParameter(component string, element any) string {
	p, _ := element.(map[string]any)
	kind := fmt.Sprint(p["type"])
	text, isText := p["text"].(string)
	switch {
	case kind == "text" && !isText:
		return "text is missing"
	case kind == "text" && component == "header" && utf8.RuneCountInString(text) > longestHeader:
		return fmt.Sprintf("text has more than %d characters", longestHeader)
	case kind == "text":
		return ""
	case component != "header":
		return "a parameter of type " + kind
	}
	media, _ := p[kind].(map[string]any)
	if link, _ := media["link"].(string); link == "" {
		return kind + ".link is missing"
	}
	return ""
}
