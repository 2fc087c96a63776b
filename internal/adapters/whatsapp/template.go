package whatsapp

import (
	"maps"
	"slices"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/util"
)

// checkVariables checks what fills a template's header and buttons. Those of
// the body are the template's own business, which nobody knows here.
func checkVariables(r *common.Reader, meta map[string]string) {
	header := ""
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		v, err := api.VariableOf(key)
		if err != nil {
			r.Add(common.MetaPath(key), err.Error())
			continue
		}
		if v.Component != api.InHeader {
			continue
		}
		if header != "" {
			r.Add(common.MetaPath(key), "a template has one header, and "+header+" is there")
		}
		header = key
		checkHeader(r, v.Name, key, meta[key])
	}
}

func checkHeader(r *common.Reader, kind, key, value string) {
	path := common.MetaPath(key)
	if kind != api.HeaderText && !r.Flagged(path) && !util.IsHTTPURL(value) {
		r.Add(path, "not an absolute http or https URL")
	}
}
