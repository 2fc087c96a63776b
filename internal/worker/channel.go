package worker

import (
	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// Channel turns request records into deliveries. It is all the engine knows
// of email, SMS and WhatsApp.
type Channel interface {
	// Decode reads and checks a request. Its only error is
	// *common.Violations.
	Decode(rec *models.Record) (common.Delivery, error)
}
