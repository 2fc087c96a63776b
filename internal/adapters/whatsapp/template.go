package whatsapp

import (
	"maps"
	"slices"

	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/util"
)

// checkVariables checks what fills a template's header and buttons. Those of
// the body are the template's own business, which nobody knows here.
func checkVariables(r *request.Reader, meta map[string]string) {
	header := ""
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		v, err := api.VariableOf(key)
		if err != nil {
			r.Add(request.MetaPath(key), err.Error())
			continue
		}
		if v.Component != api.InHeader {
			continue
		}
		if header != "" {
			r.Add(request.MetaPath(key), "a template has one header, and "+header+" is there")
		}
		header = key
		checkHeader(r, v.Name, key, meta[key])
	}
}

func checkHeader(r *request.Reader, kind, key, value string) {
	path := request.MetaPath(key)
	if kind != api.HeaderText && !r.Flagged(path) && !util.IsHTTPURL(value) {
		r.Add(path, "not an absolute http or https URL")
	}
}
