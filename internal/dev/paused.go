package dev

import (
	"context"
	"time"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/control"
)

// pausedTenant has a part of the SMS traffic, which an order holds up: there is
// one to be seen, and to be lifted.
const pausedTenant = "globex"

// pausedScenario is that tenant's.
func pausedScenario() ops.Scenario {
	return ops.Scenario{Name: "paused", Meta: map[string]string{"campaign": "sample"}, Tenant: pausedTenant}
}

// pauseTenant gives the order. Traffic that has an end waits for the order's.
func pauseTenant(ctx context.Context, c *config.Config, once bool) (*models.Order, error) {
	lasting := 10 * time.Minute
	if once {
		lasting = 3 * time.Second
	}
	topic, err := control.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer topic.Close()
	o := &models.Order{
		Action: models.ActionPause, Channel: models.SMS, Tenant: pausedTenant, Reason: "an example of an order", By: "msgctl dev",
	}
	return o, topic.Give(ctx, o, lasting)
}

// tellPause says what is paused, and how to end that.
func (v *view) tellPause(broker string, o *models.Order) {
	v.print("Tenant %s is paused on %s until %s, as in an incident. From another terminal:\n", o.Tenant, o.Channel, o.Until.Format(time.TimeOnly))
	v.print("  msgctl control list --brokers %s\n", broker)
	v.print("  msgctl resume --brokers %s --channel %s --tenant %s\n\n", broker, o.Channel, o.Tenant)
}
