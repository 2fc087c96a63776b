package twilio

import (
	"context"
	"net/url"

	"messaging-worker/internal/providers/api"
)

// SMS sends text messages.
type SMS struct{ *Client }

// Send makes one call. Its errors are *api.Error and *api.ConnectionError.
func (s SMS) Send(ctx context.Context, m api.Message) (api.Receipt, error) {
	return s.create(ctx, &m, "", url.Values{"Body": {m.Body}})
}
