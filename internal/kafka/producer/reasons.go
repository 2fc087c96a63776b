package producer

import (
	"regexp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// refusalReasons learns why Kafka refuses batches that the client retries. The
// client reports that in its log alone, at debug: so this logger reads those
// lines while records wait for long, and passes on what the log's level asks for.
type refusalReasons struct {
	kgo.Logger

	listening atomic.Bool

	mu sync.Mutex
	of map[string]string // by topic: the latest refusal
}

// Level implements kgo.Logger.
func (r *refusalReasons) Level() kgo.LogLevel {
	if r.listening.Load() {
		return kgo.LogLevelDebug
	}
	return r.Logger.Level()
}

// Log implements kgo.Logger.
func (r *refusalReasons) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	if msg == "produced" && r.listening.Load() {
		for i := 0; i+1 < len(keyvals); i += 2 {
			if text, ok := keyvals[i+1].(string); ok && keyvals[i] == "to" {
				r.learn(text)
			}
		}
	}
	if level <= r.Logger.Level() {
		r.Logger.Log(level, msg, keyvals...)
	}
}

// What the client says of an answered request:
//
//	TOPIC[PARTITION{retrying@-1,RECORDS(ERROR)}, …], …
var (
	answeredTopic = regexp.MustCompile(`([\w.-]+)\[([^\]]*)\]`)
	triedAgain    = regexp.MustCompile(`retrying@-?\d+,\d+\((.*?)\)\}`)
)

// learn reads what the client says of an answered request.
func (r *refusalReasons) learn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, topic := range answeredTopic.FindAllStringSubmatch(text, -1) {
		if why := triedAgain.FindStringSubmatch(topic[2]); why != nil {
			r.of[topic[1]] = why[1]
		}
	}
}

// listen reads the client's lines while there are topics, and forgets the others.
func (r *refusalReasons) listen(topics []string) {
	r.listening.Store(len(topics) > 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic := range r.of {
		if !slices.Contains(topics, topic) {
			delete(r.of, topic)
		}
	}
}

// why returns the latest refusal of a topic's records, or "".
func (r *refusalReasons) why(topic string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[topic]
}
