package deploy_test

import (
	"encoding/base64"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// cluster is where the brokers of a Compose file are found.
type cluster struct {
	inside, outside []string
}

// checkBrokers holds the brokers of a Compose file against one another.
func checkBrokers(t *testing.T, f *faults, r tree, file string, p *types.Project) cluster {
	t.Helper()
	version := regexp.MustCompile(`<version>(4[\d.]+)</version>`).FindStringSubmatch(r.read(t, "test/kafka/pom.xml"))
	if version == nil {
		t.Fatal("test/kafka/pom.xml has no version of Kafka")
	}
	var c cluster
	var voters, ids []string
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		s := p.Services[name]
		if !strings.HasPrefix(s.Image, "apache/kafka:") {
			continue
		}
		where := file + ": " + name
		f.same(where+": image", s.Image, "apache/kafka:"+version[1])
		env := environment(s)
		listeners, advertised := addresses(env["KAFKA_LISTENERS"]), addresses(env["KAFKA_ADVERTISED_LISTENERS"])
		voters = append(voters, env["KAFKA_NODE_ID"]+"@"+name+":"+port(listeners["CONTROLLER"]))
		ids = append(ids, env["KAFKA_NODE_ID"])
		c.inside, c.outside = append(c.inside, advertised["INTERNAL"]), append(c.outside, advertised["EXTERNAL"])
		f.same(where+": hostname", s.Hostname, name)
		f.same(where+": inner address", advertised["INTERNAL"], name+":"+port(listeners["INTERNAL"]))
		f.same(where+": outer address", advertised["EXTERNAL"], "localhost:"+port(listeners["EXTERNAL"]))
		if len(s.Ports) != 1 || s.Ports[0].Published != port(listeners["EXTERNAL"]) || strconv.Itoa(int(s.Ports[0].Target)) != port(listeners["EXTERNAL"]) {
			f.add("%s: ports %v, want that of its outer listener", where, s.Ports)
		}
		checkHealth(f, where, s, port(listeners["INTERNAL"]))
		checkData(f, where, s, env["KAFKA_LOG_DIRS"])
	}
	for _, s := range p.Services {
		if strings.HasPrefix(s.Image, "apache/kafka:") {
			checkBrokerSettings(f, file, environment(s), strings.Join(voters, ","))
		}
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != len(c.inside) {
		f.add("%s: node ids %v are not unique", file, ids)
	}
	return c
}

// checkBrokerSettings wants each broker to say all of this, and nothing else:
// Kafka itself only warns of names that it does not know.
func checkBrokerSettings(f *faults, file string, env map[string]string, voters string) {
	n := strings.Count(voters, ",") + 1
	copies, acks := strconv.Itoa(n), strconv.Itoa(max(1, n-1))
	want := map[string]string{
		"KAFKA_PROCESS_ROLES": "broker,controller", "KAFKA_CONTROLLER_QUORUM_VOTERS": voters, "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
		"KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": copies,
		"KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": copies, "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": acks,
		"KAFKA_LOG_DIRS": "/var/lib/kafka/data",
	}
	if n > 1 {
		want["KAFKA_DEFAULT_REPLICATION_FACTOR"], want["KAFKA_MIN_INSYNC_REPLICAS"] = copies, acks
	}
	for name, value := range want {
		f.same(file+": "+name, env[name], value)
	}
	if id, err := base64.RawURLEncoding.DecodeString(env["CLUSTER_ID"]); err != nil || len(id) != 16 {
		f.add("%s: CLUSTER_ID %q is no id: 16 bytes in URL-safe base64", file, env["CLUSTER_ID"])
	}
	others := []string{"CLUSTER_ID", "KAFKA_NODE_ID", "KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS", "KAFKA_HEAP_OPTS", "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS"}
	for name := range env {
		if _, ok := want[name]; !ok && !slices.Contains(others, name) {
			f.add("%s: %s is not a setting of a broker that this test knows", file, name)
		}
	}
}

func checkHealth(f *faults, where string, s types.ServiceConfig, port string) {
	if s.HealthCheck == nil || !strings.Contains(strings.Join(s.HealthCheck.Test, " "), "localhost:"+port+" ") {
		f.add("%s: the health check does not ask port %s", where, port)
	}
}

func checkData(f *faults, where string, s types.ServiceConfig, dir string) {
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeVolume && v.Source == s.Name && v.Target == dir {
			return
		}
	}
	for _, mount := range s.Tmpfs {
		if strings.HasPrefix(mount, dir+":") {
			return
		}
	}
	f.add("%s: its data in %q are on no volume of its own", where, dir)
}

// addresses parses NAME://host:port,...
func addresses(list string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(list, ",") {
		name, address, _ := strings.Cut(part, "://")
		m[name] = address
	}
	return m
}

func port(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "no port"
	}
	return port
}
