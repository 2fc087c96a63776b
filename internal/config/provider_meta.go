package config

import (
	"errors"
	"regexp"

	"messaging-worker/internal/util"
)

// Meta is the WhatsApp Cloud API account.
type Meta struct {
	PhoneNumberID  string
	AccessToken    Secret
	PhoneNumberIDs map[string]string
	CallbackData   bool
	BaseURL        string
	APIVersion     string
}

func metaProvider() provider {
	return provider{
		name: "meta", title: "Meta", channels: []string{"whatsapp"}, rows: metaRows,
		check: func(l *loader) {
			l.need(l.config.Meta.PhoneNumberID == "", "META_PHONE_NUMBER_ID", "with WHATSAPP_PROVIDER=meta")
			l.need(!l.config.Meta.AccessToken.IsSet(), "META_ACCESS_TOKEN", "with WHATSAPP_PROVIDER=meta")
		},
	}
}

func metaRows(c *Config) []setting {
	m := &c.Meta
	return []setting{
		{name: "META_PHONE_NUMBER_ID", meaning: "phone number id to send from; required", parse: metaID(&m.PhoneNumberID)},
		{name: "META_ACCESS_TOKEN", meaning: "access token; required", secret: &m.AccessToken},
		{name: "META_PHONE_NUMBER_IDS", meaning: "+1555...=ID,...: phone number ids of further senders", parse: numbers(&m.PhoneNumberIDs)},
		{name: "META_CALLBACK_DATA", fallback: "false", meaning: "send the message id as biz_opaque_callback_data", parse: boolean(&m.CallbackData)},
		{name: "META_BASE_URL", fallback: "https://graph.facebook.com", meaning: "where the API is", parse: baseURL(&m.BaseURL)},
		{name: "META_API_VERSION", fallback: "v23.0", meaning: "version of the API", parse: metaVersion(&m.APIVersion)},
	}
}

// numbers takes pairs whose names are telephone numbers.
func numbers(dst *map[string]string) parser {
	return func(s string) error {
		var list map[string]string
		if err := valued(&list, metaID(new(string)))(s); err != nil {
			return err
		}
		for number := range list {
			if !util.IsE164(number) {
				return errors.New("want +15551234567=ID, several separated by commas, each number in E.164 format")
			}
		}
		*dst = list
		return nil
	}
}

// metaID takes an id of Meta's.
func metaID(dst *string) parser { return form(dst, regexp.MustCompile(`^[0-9]+$`), "digits alone") }

// metaVersion takes a version of the Graph API.
func metaVersion(dst *string) parser {
	return form(dst, regexp.MustCompile(`^v[0-9]+\.[0-9]+$`), "v and a number, as v23.0")
}
