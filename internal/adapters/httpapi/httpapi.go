// Package httpapi holds what the adapters of HTTP providers share: one call a
// number, and the same reading of its answer.
package httpapi

import (
	"errors"
	"fmt"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
)

// Units returns one unit for each distinct number, by its first index.
func Units(to []string) [][]int {
	if len(to) == 1 { // as nearly always
		return [][]int{{0}}
	}
	units := make([][]int, 0, len(to))
	seen := make(map[string]struct{}, len(to))
	for i, number := range to {
		if _, twice := seen[number]; !twice {
			seen[number] = struct{}{}
			units = append(units, []int{i})
		}
	}
	return units
}

// Result reads the outcome of one call to one number. Limit is the configured
// time limit of a call; own are the request's texts, which must not come back
// in a response.
func Result(to string, receipt api.Receipt, err error, limit time.Duration, own ...string) (models.ProviderResponse, error) {
	if err == nil {
		return models.ProviderResponse{
			Status: models.StatusOK, Code: receipt.Status, Message: common.Clean(receipt.Message, own...),
			Meta: map[string]string{receipt.Kind + "." + to: receipt.ID},
		}, nil
	}
	if answer, ok := errors.AsType[*api.Error](err); ok {
		status, failure := common.ClassifyHTTP(common.HTTPAnswer{
			Status: answer.Status, RetryAfter: answer.RetryAfter, Unreadable: answer.Unreadable,
		})
		return models.ProviderResponse{
			Status: status, Code: answer.Status,
			Message: common.Clean(message(answer), own...),
			Raw:     common.Clean(answer.Raw, own...),
		}, failure
	}
	if resp, failure, ok := common.ClassifyNetwork(err, limit); ok {
		return resp, failure
	}
	return models.ProviderResponse{Status: models.StatusUnknown}, common.Unknown(errors.New("provider failed without an answer"))
}

// message is the provider's own words behind its name and code.
func message(e *api.Error) string {
	if e.Code == 0 {
		return e.Provider + ": " + e.Message
	}
	return fmt.Sprintf("%s %d: %s", e.Provider, e.Code, e.Message)
}
