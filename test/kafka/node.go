package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// node is one Kafka process, broker and controller in one.
type node struct {
	id, broker, controller int
	second                 int            // port of the second listener
	advertise              string         // see Options.Advertise
	more                   map[string]int // ports by name of listener
	dir, libs, directory   string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended; nil before a start
}

func (n *node) address() string { return fmt.Sprint("127.0.0.1:", n.broker) }
func (n *node) logFile() string { return filepath.Join(n.dir, "server.log") }
func (n *node) config() string  { return filepath.Join(n.dir, "server.properties") }

const log4j = `Configuration:
  Appenders:
    Console:
      name: out
      target: SYSTEM_OUT
      PatternLayout:
        pattern: "[%d] %p %m (%c)%n"
  Loggers:
    Root:
      level: INFO
      AppenderRef:
        ref: out
`

func (n *node) properties(all []*node, extra map[string]string) string {
	replicas := strconv.Itoa(len(all))
	var controllers []string
	for _, o := range all {
		controllers = append(controllers, fmt.Sprint("127.0.0.1:", o.controller))
	}
	p := map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          strconv.Itoa(n.id),
		"listeners":                                        fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", n.broker, n.controller),
		"advertised.listeners":                             fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", n.broker),
		"controller.listener.names":                        "CONTROLLER",
		"controller.quorum.bootstrap.servers":              strings.Join(controllers, ","),
		"log.dirs":                                         filepath.Join(n.dir, "data"),
		"num.partitions":                                   "12",
		"default.replication.factor":                       replicas,
		"auto.create.topics.enable":                        "false",
		"offsets.topic.replication.factor":                 replicas,
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         replicas,
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "2",
		"share.coordinator.state.topic.replication.factor": replicas,
		"group.initial.rebalance.delay.ms":                 "0",
		"group.min.session.timeout.ms":                     "1000",
	}
	if n.advertise != "" {
		p["listeners"] += fmt.Sprintf(",SECOND://127.0.0.1:%d", n.second)
		p["advertised.listeners"] += ",SECOND://" + n.advertise
		p["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECOND:PLAINTEXT"
	}
	for _, name := range slices.Sorted(maps.Keys(n.more)) {
		at := fmt.Sprintf(",%s://127.0.0.1:%d", name, n.more[name])
		p["listeners"] += at
		p["advertised.listeners"] += at
	}
	maps.Copy(p, extra)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", key, p[key])
	}
	return b.String()
}

// format prepares the node's data folder.
func (n *node) format(ctx context.Context, clusterID string, all []*node, extra map[string]string) error {
	if err := os.MkdirAll(n.dir, 0o750); err != nil {
		return fmt.Errorf("make node folder: %w", err)
	}
	if err := os.WriteFile(n.config(), []byte(n.properties(all, extra)), 0o600); err != nil {
		return fmt.Errorf("write server.properties: %w", err)
	}
	if err := os.WriteFile(filepath.Join(n.dir, "log4j2.yaml"), []byte(log4j), 0o600); err != nil {
		return fmt.Errorf("write log4j2.yaml: %w", err)
	}
	args := []string{"kafka.tools.StorageTool", "format", "-t", clusterID, "-c", n.config()}
	if len(all) == 1 {
		args = append(args, "--standalone")
	} else {
		var voters []string
		for _, o := range all {
			voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d:%s", o.id, o.controller, o.directory))
		}
		args = append(args, "--initial-controllers", strings.Join(voters, ","))
	}
	if out, err := n.java(ctx, "-Xmx256m", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("format Kafka storage: %w\n%s", err, tail(string(out)))
	}
	return nil
}

// java returns a command of Kafka's own classes.
func (n *node) java(ctx context.Context, memory string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "java", append([]string{
		memory, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.configurationFile=" + filepath.Join(n.dir, "log4j2.yaml"),
		"-cp", filepath.Join(n.libs, "*"),
	}, args...)...)
	cmd.Dir = n.dir
	dieWithParent(cmd)
	return cmd
}

func (n *node) start() error {
	log, err := os.OpenFile(n.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open Kafka log: %w", err)
	}
	defer log.Close()
	n.cmd = n.java(context.Background(), "-Xmx768m", "kafka.Kafka", n.config())
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		return fmt.Errorf("start Kafka: %w", err)
	}
	cmd, done := n.cmd, make(chan struct{})
	n.done = done
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended is in its log
	}()
	return nil
}

func (n *node) ended() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

func (n *node) stop() error { return n.signal(syscall.SIGTERM) }
func (n *node) kill() error { return n.signal(syscall.SIGKILL) }

func (n *node) signal(s syscall.Signal) error {
	if n.done == nil || n.ended() {
		return nil
	}
	if err := n.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal Kafka: %w", err)
	}
	select {
	case <-n.done:
		return nil
	case <-time.After(5 * time.Minute):
		return fmt.Errorf("node %d of Kafka did not end after %v", n.id, s)
	}
}
