package producer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"messaging-worker/internal/lifetime"
)

// Refused returns, for each topic, why Kafka refuses records that are tried
// again and again, or that it has not acknowledged one for ten seconds. It
// returns nil while acknowledgements come, within that time. The text stays the
// same while the reason does.
func (p *Producer) Refused() error {
	faults := map[string]error{}
	for _, topic := range p.partitions.stalled(p.late) {
		faults[topic] = fmt.Errorf("topic %s does not acknowledge records within %v", topic, p.late)
		if why := p.why.why(topic); why != "" {
			faults[topic] = fmt.Errorf("%w: %s", faults[topic], why)
		}
	}
	for topic, err := range p.refusals.Present() {
		faults[topic] = fmt.Errorf("topic %s refuses records: %w", topic, err)
	}
	var list []error
	for _, topic := range slices.Sorted(maps.Keys(faults)) {
		list = append(list, faults[topic])
	}
	return errors.Join(list...)
}

// setRefusal keeps why a topic refuses the records of its retry queue, or with
// nil that it took one, and logs what has changed.
func (p *Producer) setRefusal(topic string, err error) {
	switch changed := p.refusals.Changed(topic, err); {
	case !changed:
	case err == nil:
		p.log.Info().Str("topic", topic).Msg("Kafka takes the records that it refused")
	default:
		p.log.Error().Err(err).Str("topic", topic).
			Msg("Kafka refuses a record; it is tried again, and progress waits, until it is accepted")
	}
}

// watch learns the reasons of refusals while records wait, from half the time on
// after which Refused reports them.
func (p *Producer) watch() {
	for lifetime.Sleep(p.life.Calls(), time.Second) == nil {
		p.why.listen(p.partitions.stalled(p.late / 2))
	}
}
