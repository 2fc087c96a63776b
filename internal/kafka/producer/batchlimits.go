package producer

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
)

// Bounds of a batch. The largest is the client's own default, just below what
// a topic takes by default; a smaller limit than the least is the client's
// error.
const (
	batchMaxBytes   = 1_000_012
	batchLeastBytes = 512
)

// batchLimits knows how large a batch each topic takes, so that no batch is refused
// whose records would have been taken.
//
// The client asks for a topic's limit each time that its metadata arrive, and
// keeps the first answer. Its metadata wait meanwhile and so do the records of
// topics not seen before, and no others; so a topic is asked for once, not for
// long, and through a client of its own.
type batchLimits struct {
	ask func(ctx context.Context, topic string) (int, error)
	log zerolog.Logger

	mu    sync.Mutex
	known map[string]int32
}

func newBatchLimits(cl *kgo.Client, log zerolog.Logger) *batchLimits {
	return &batchLimits{
		ask: func(ctx context.Context, topic string) (int, error) { return kafka.MaxMessageBytes(ctx, cl, topic) },
		log: log, known: map[string]int32{},
	}
}

// of returns the largest batch of a topic. Where the brokers do not tell, it
// is the default: what is refused then is sent again alone.
func (l *batchLimits) of(topic string) int32 {
	if topic == "" { // the client's look at its own options
		return batchMaxBytes
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.known[topic]; ok {
		return n
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	n, err := l.ask(ctx, topic)
	if err != nil {
		l.log.Debug().Err(err).Str("topic", topic).Msg("the topic's max.message.bytes is not known")
		n = batchMaxBytes
	}
	l.known[topic] = int32(max(batchLeastBytes, min(n, batchMaxBytes)))
	return l.known[topic]
}
