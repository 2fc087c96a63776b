package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// ending is how a batch of requests ends.
type ending int

const (
	committed ending = iota
	plain            // written outside of any transaction
	aborted
	fenced   // its producer is killed, and a new one of the same id comes
	timedOut // its producer is killed, and nobody of that id comes
)

func (e ending) rolledBack() bool { return e >= aborted }

// batch is what one transaction writes.
type batch struct {
	records []*kgo.Record
	ending  ending
}

// upstream is what writes requests, several producers at once, while workers
// are killed.
type upstream struct {
	s       *stage.Stage
	ledger  string
	batches chan batch
	visible atomic.Int64 // requests that are committed, or are about to be
	names   atomic.Int64
}

// Kill after kill of the workers beside producers that write in transactions over
// all lanes, roll a third of the requests back and are killed between batches:
// nobody is sent what was rolled back, and nothing else is lost. On Apache Kafka
// open transactions of killed producers are ended by its coordinator; the embedded
// broker does so too.
func TestKillsBesideTransactions(t *testing.T) {
	t.Parallel()
	r := chance(t)
	s := stage.New(t, models.SMS, allLanes(stage.Options{}))
	u := &upstream{s: s, ledger: filepath.Join(t.TempDir(), "ledger")}
	ids, rolledBack, endings := u.plan(r, pick(1500, 20_000))
	k := killing{messages: len(ids), recipients: 1, kills: pick(3, 20)}

	ctx, cancel := context.WithCancel(s.Ctx)
	defer cancel()
	written := u.run(ctx, 3)
	lives := k.again(t, s, r, u.ledger)
	lives = append(lives, k.last(s, u.ledger))
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	s.Committed()
	k.judge(t, s, u.ledger, requests{}.add(ids), lives)
	t.Logf("%d requests, %d rolled back; batches: %d committed, %d outside of transactions, %d aborted, %d fenced, %d timed out",
		len(ids)+len(rolledBack), len(rolledBack), endings[committed], endings[plain], endings[aborted], endings[fenced], endings[timedOut])
	events := s.SoFar()
	for id, n := range stage.LedgerIDs(t, u.ledger) {
		if rolledBack[id] {
			t.Errorf("%s was rolled back, and delivered %d times", id, n)
		}
	}
	for id := range rolledBack {
		if len(events[id]) > 0 {
			t.Errorf("%s was rolled back, and has the events %s", id, stage.Sequence(events[id]))
		}
	}
}

// plan makes the batches. A third of the requests is to be rolled back.
func (u *upstream) plan(r *rand.Rand, messages int) (ids, rolledBack map[string]bool, endings map[ending]int) {
	ids, rolledBack, endings = map[string]bool{}, map[string]bool{}, map[ending]int{}
	u.batches = make(chan batch, messages)
	kinds := []ending{aborted, fenced, aborted, timedOut, aborted, fenced, aborted, aborted}
	for n := 0; len(ids)+len(rolledBack) < messages; n++ {
		b := batch{ending: committed}
		into := ids
		switch {
		case 2*len(rolledBack) < len(ids):
			into = rolledBack
			b.ending = kinds[(endings[aborted]+endings[fenced]+endings[timedOut])%len(kinds)]
		case r.IntN(8) == 0:
			b.ending = plain
		}
		for range min(1+r.IntN(50), messages-len(ids)-len(rolledBack)) {
			id := stage.NewID()
			into[id] = true
			b.records = append(b.records, &kgo.Record{Topic: u.s.TopicInTurn(len(into)), Key: []byte(id), Value: stage.Request(u.s.Channel, id, nil)})
		}
		endings[b.ending]++
		u.batches <- b
	}
	close(u.batches)
	return ids, rolledBack, endings
}

// run writes all batches with that many producers at once. The channel gets
// their end.
func (u *upstream) run(ctx context.Context, producers int) <-chan error {
	result := make(chan error, 1)
	ctx, stop := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	for range producers {
		all.Go(func() {
			if err := u.produce(ctx); err != nil {
				stop(err)
			}
		})
	}
	go func() {
		all.Wait()
		result <- context.Cause(ctx)
		stop(nil)
	}()
	return result
}

// produce is one producer, and those that come after it when it is killed.
func (u *upstream) produce(ctx context.Context) error {
	name := u.name()
	client, err := u.connect(name, 10*time.Minute)
	if err != nil {
		return err
	}
	defer func() { client.Close() }()
	for b := range u.batches {
		if err := u.room(ctx, b); err != nil {
			return err
		}
		switch b.ending {
		case plain:
			err = u.s.Client.ProduceSync(ctx, b.records...).FirstErr()
		case committed, aborted:
			err = transact(ctx, client, b.records, kgo.TransactionEndTry(b.ending == committed))
		case fenced:
			err = begin(ctx, client, b.records)
			client.Close()
			if err == nil {
				client, err = u.replace(ctx, name)
			}
		case timedOut:
			err = u.leave(ctx, b.records)
		}
		if err != nil {
			return fmt.Errorf("write a batch that ends as %d: %w", b.ending, err)
		}
	}
	return nil
}

func (u *upstream) name() string { return u.s.Name + "-" + strconv.FormatInt(u.names.Add(1), 10) }

func (u *upstream) connect(name string, timeout time.Duration) (*kgo.Client, error) {
	return kgo.NewClient(kgo.SeedBrokers(u.s.Brokers...), kgo.TransactionalID(name), kgo.TransactionTimeout(timeout), kgo.UnknownTopicRetries(-1))
}

// replace connects the producer that comes after a killed one: its first word
// ends what that has left open.
func (u *upstream) replace(ctx context.Context, name string) (*kgo.Client, error) {
	client, err := u.connect(name, 10*time.Minute)
	if err == nil {
		_, _, err = client.ProducerID(ctx)
	}
	return client, err
}

// room waits until the workers are not far behind: transactions are to be open
// when they are killed.
func (u *upstream) room(ctx context.Context, b batch) error {
	if !b.ending.rolledBack() {
		u.visible.Add(int64(len(b.records)))
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for u.visible.Load()-int64(stage.Lines(u.ledger)) > 1000 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// leave begins a transaction that nobody ends: the coordinator does.
func (u *upstream) leave(ctx context.Context, records []*kgo.Record) error {
	client, err := u.connect(u.name(), 5*time.Second)
	if err != nil {
		return err
	}
	defer client.Close()
	_ = begin(ctx, client, records) // it may have timed out by then
	return nil
}

// begin writes inside of a transaction that stays open.
func begin(ctx context.Context, client *kgo.Client, records []*kgo.Record) error {
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

func transact(ctx context.Context, client *kgo.Client, records []*kgo.Record, how kgo.TransactionEndTry) error {
	if err := begin(ctx, client, records); err != nil {
		return err
	}
	return client.EndTransaction(ctx, how)
}
