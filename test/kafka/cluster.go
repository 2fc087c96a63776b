package kafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	mathrand "math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// startTimeout bounds how long a cluster may take until it answers: three nodes
// are six starts of Java, on a machine that compiles and tests beside them.
const startTimeout = 6 * time.Minute

// Options of a Cluster.
type Options struct {
	Nodes      int               // 1 or 3; zero means 1
	Properties map[string]string // added to server.properties, or changed there

	// Advertise adds a second listener, see Cluster.Second, whose clients are
	// sent to this address: that of a proxy before the one node.
	Advertise string

	// Listeners are the names of further ones, see Cluster.Listener, whose
	// protocols the Properties say.
	Listeners []string
}

// Cluster is a running Apache Kafka.
type Cluster struct {
	nodes   []*node
	brokers []string // of a foreign cluster; then nodes is empty
}

// Launch starts a cluster in dir and waits until it answers. Close it.
func Launch(ctx context.Context, dir string, o Options) (*Cluster, error) {
	if given := os.Getenv("KAFKA_TEST_BROKERS"); given != "" {
		return &Cluster{brokers: strings.Split(given, ",")}, nil
	}
	libs, err := jars(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var c *Cluster
	for try := 0; ; try++ {
		if c, err = launch(ctx, filepath.Join(dir, fmt.Sprint("try-", try)), libs, o); err == nil {
			return c, nil
		}
		// A port that was free may be taken by the time Kafka binds it.
		if try == 2 || ctx.Err() != nil {
			return nil, err
		}
	}
}

func launch(ctx context.Context, dir, libs string, o Options) (*Cluster, error) {
	c := &Cluster{}
	for id := 1; id <= max(1, o.Nodes); id++ {
		broker, err := FreePort()
		if err != nil {
			return nil, err
		}
		controller, err := FreePort()
		if err != nil {
			return nil, err
		}
		second, err := FreePort()
		if err != nil {
			return nil, err
		}
		more := map[string]int{}
		for _, name := range o.Listeners {
			if more[name], err = FreePort(); err != nil {
				return nil, err
			}
		}
		c.nodes = append(c.nodes, &node{
			more:   more,
			second: second, advertise: o.Advertise,
			id: id, dir: filepath.Join(dir, fmt.Sprint("node-", id)), libs: libs,
			broker: broker, controller: controller, directory: uuid(),
		})
	}
	clusterID := uuid()
	for _, n := range c.nodes {
		if err := n.format(ctx, clusterID, c.nodes, o.Properties); err != nil {
			return nil, err
		}
	}
	for _, n := range c.nodes {
		if err := n.start(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.answer(ctx, len(c.nodes)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Brokers returns the addresses to bootstrap from.
func (c *Cluster) Brokers() []string {
	if len(c.nodes) == 0 {
		return c.brokers
	}
	var list []string
	for _, n := range c.nodes {
		list = append(list, n.address())
	}
	return list
}

// Second returns where the second listener of the first node is.
func (c *Cluster) Second() string { return fmt.Sprint("127.0.0.1:", c.nodes[0].second) }

// Listener returns where the first node's listener of that name is.
func (c *Cluster) Listener(name string) string {
	return fmt.Sprint("127.0.0.1:", c.nodes[0].more[name])
}

// Controllable reports whether nodes can be stopped: a foreign cluster's
// cannot.
func (c *Cluster) Controllable() bool { return len(c.nodes) > 0 }

// Stop ends node i, from 0, as an operator would, and waits for its end.
func (c *Cluster) Stop(i int) error { return c.nodes[i].stop() }

// Kill ends node i at once.
func (c *Cluster) Kill(i int) error { return c.nodes[i].kill() }

// Start starts node i again on its data, and does not wait.
func (c *Cluster) Start(i int) error { return c.nodes[i].start() }

// Wait waits until that many nodes answer.
func (c *Cluster) Wait(ctx context.Context, nodes int) error { return c.answer(ctx, nodes) }

// Close kills what runs. It leaves the folders.
func (c *Cluster) Close() error {
	var err error
	for _, n := range c.nodes {
		err = errors.Join(err, n.kill())
	}
	return err
}

// Logs returns the ends of the nodes' logs.
func (c *Cluster) Logs() string {
	var b strings.Builder
	for _, n := range c.nodes {
		data, _ := os.ReadFile(n.logFile())
		fmt.Fprintf(&b, "--- %s\n%s\n", n.logFile(), tail(string(data)))
	}
	return b.String()
}

// Complaints returns the latest warnings and errors in the nodes' logs.
func (c *Cluster) Complaints() string {
	var b strings.Builder
	for _, n := range c.nodes {
		data, _ := os.ReadFile(n.logFile())
		lines := slices.DeleteFunc(strings.Split(string(data), "\n"), func(line string) bool {
			return !strings.Contains(line, "] WARN ") && !strings.Contains(line, "] ERROR ")
		})
		fmt.Fprintf(&b, "--- %s\n%s\n", n.logFile(), strings.Join(lines[max(0, len(lines)-10):], "\n"))
	}
	return b.String()
}

// answer waits until metadata names that many brokers.
func (c *Cluster) answer(ctx context.Context, nodes int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...), kgo.RetryTimeout(2*time.Second))
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer client.Close()
	for {
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
		if err == nil && len(resp.Brokers) >= nodes {
			return nil
		}
		for _, n := range c.nodes {
			if n.ended() {
				return fmt.Errorf("node %d of Kafka ended at its start\n%s", n.id, c.Logs())
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("no answer from Kafka: %w (%w)\n%s", context.Cause(ctx), err, c.Logs())
		}
	}
}

// FreePort picks a loopback port for a listener that comes later, below the
// range that the system gives to outgoing connections and to port 0: whoever
// lets go of one of those may find it taken a moment after.
func FreePort() (int, error) {
	for range 100 {
		port := 10000 + mathrand.IntN(22000)
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port between 10000 and 32000")
}

// uuid returns a random id as Kafka writes them.
func uuid() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:])
		if s := base64.RawURLEncoding.EncodeToString(b[:]); s[0] != '-' {
			return s
		}
	}
}
