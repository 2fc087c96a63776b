package config

import (
	"errors"

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

func metaRows(c *Config) []setting {
	m := &c.Meta
	return []setting{
		{name: "META_PHONE_NUMBER_ID", meaning: "phone number id to send from; required", parse: into(&m.PhoneNumberID, metaID)},
		{name: "META_ACCESS_TOKEN", meaning: "access token; required", secret: &m.AccessToken},
		{name: "META_PHONE_NUMBER_IDS", meaning: "+1555...=ID,...: phone number ids of further senders", parse: into(&m.PhoneNumberIDs, numbers)},
		{name: "META_CALLBACK_DATA", fallback: "false", meaning: "send the message id as biz_opaque_callback_data", parse: into(&m.CallbackData, boolean)},
		{name: "META_BASE_URL", fallback: "https://graph.facebook.com", meaning: "where the API is", parse: into(&m.BaseURL, baseURL)},
		{name: "META_API_VERSION", fallback: "v23.0", meaning: "version of the API", parse: into(&m.APIVersion, like(`^v[0-9]+\.[0-9]+$`, "v and a number, as v23.0"))},
	}
}

func (l *loader) checkMeta() {
	m := &l.config.Meta
	l.need(m.PhoneNumberID == "", "META_PHONE_NUMBER_ID", "with WHATSAPP_PROVIDER=meta")
	l.need(!m.AccessToken.IsSet(), "META_ACCESS_TOKEN", "with WHATSAPP_PROVIDER=meta")
}

// numbers takes pairs of a telephone number and its id.
func numbers(s string) (map[string]string, error) {
	list, err := valued(metaID)(s)
	for number := range list {
		if !util.IsE164(number) {
			return nil, errors.New("want +15551234567=ID, several separated by commas, each number in E.164 format")
		}
	}
	return list, err
}

func metaID(s string) (string, error) { return like(`^[0-9]+$`, "digits alone")(s) }
