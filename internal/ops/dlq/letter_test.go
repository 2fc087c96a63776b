package dlq

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// Only a letter without its request says that it omits it: meta is the
// producer's own, and may hold the same entry.
func TestOmitted(t *testing.T) {
	t.Parallel()
	for original, want := range map[string]bool{`{"meta":{"original_omitted":"true"}}`: false, "not JSON": false, "": true} {
		letter := models.DLQRecord{
			MessageID: "m", Channel: models.SMS, OriginalMessage: models.NewOriginal([]byte(original)), Attempts: 1,
			FailureType: models.FailurePermanent, FirstFailedAt: time.Now(), LastAttemptAt: time.Now(),
			Meta: map[string]string{models.MetaOriginalOmitted: "true"},
		}
		value, err := letter.Encode()
		if err != nil {
			t.Fatal(err)
		}
		l, err := Parse(&kgo.Record{Topic: "dlq", Value: value})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Omitted(); got != want {
			t.Errorf("a letter with the original %q is omitted: %v, want %v", original, got, want)
		}
	}
}
