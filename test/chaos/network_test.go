package chaos_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

// What a network does to a connection, in the words of toxiproxy. Both
// directions suffer it.
func toxics() map[string]string {
	return map[string]string{
		"delay":           `{"type":"latency","attributes":{"latency":300,"jitter":200}}`,
		"a stall":         `{"type":"timeout","attributes":{"timeout":0}}`,
		"a cut":           `{"type":"reset_peer","attributes":{"timeout":50}}`,
		"a narrow line":   `{"type":"bandwidth","attributes":{"rate":40}}`,
		"crumbs of bytes": `{"type":"slicer","attributes":{"average_size":64,"size_variation":32,"delay":200}}`,
	}
}

// The network between worker and broker delays, stalls, cuts and starves its
// connections: nothing is lost, nothing fails, nobody is called twice.
func TestNetwork(t *testing.T) {
	t.Parallel()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	address := freeAddress(t)
	c := kafka.Start(t, kafka.Options{Advertise: address})
	if !c.Controllable() {
		t.Skip("a cluster that was given has no second listener")
	}
	proxy := toxiproxy.NewProxy(server, "kafka", address, c.Second())
	check(t, proxy.Start())
	defer proxy.Stop()

	r := chance(t)
	s := stage.New(t, models.SMS, stage.Options{Brokers: c.Brokers(), Partitions: 6, Timeout: timeout()})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := steady(ledger)
	env["KAFKA_BROKERS"] = address
	w := s.Work(env)
	w.WaitReady(http.StatusOK)
	stopFeeding := feed(t, s, r)
	names := []string{"delay", "a stall", "a cut", "a narrow line", "crumbs of bytes"}
	for range pick(1, 4) {
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			delivers(t, w, ledger, stage.Lines(ledger))
			suffer(t, proxy, toxics()[name], time.Duration(1+r.IntN(pick(3, 15)))*time.Second)
		}
	}
	delivers(t, w, ledger, stage.Lines(ledger))
	untouched(t, s, w, ledger, requests{}.add(stopFeeding()))
}

// suffer applies a toxic for a while.
func suffer(t *testing.T, proxy *toxiproxy.Proxy, toxic string, d time.Duration) {
	t.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		named := fmt.Sprintf(`{"name":%q,"stream":%q,%s`, stream, stream, strings.TrimPrefix(toxic, "{"))
		_, err := proxy.Toxics.AddToxicJson(strings.NewReader(named))
		check(t, err)
	}
	time.Sleep(d) // the disturbance itself
	for _, stream := range []string{"upstream", "downstream"} {
		check(t, proxy.Toxics.RemoveToxic(context.Background(), stream))
	}
}

// freeAddress returns a loopback address for who listens later.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := kafka.FreePort()
	check(t, err)
	return fmt.Sprint("127.0.0.1:", port)
}
