package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

// project reads a Compose file with all its profiles, as docker compose does.
func project(t *testing.T, f *faults, r tree, file string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{r.path(file)}, cli.WithWorkingDirectory(string(r)), cli.WithEnvFiles(), cli.WithDotEnv,
		cli.WithProfiles([]string{"*"}), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		f.add("%s: %v", file, err)
		return nil
	}
	return p
}

// Between single quotes a secret is what it is, to Compose and to a worker.
func TestSecretsInEnvFile(t *testing.T) {
	t.Parallel()
	r, f := newTree(t), faults{}
	for _, secret := range []string{`Pa$W0RD#x`, `${HOME}$$ # "x"`, `a\b\n\\c`, ` "x" `} {
		text := fmt.Sprintf("%s\nSMTP_PASSWORD='%s'\n", r.read(t, ".env.example"), secret)
		if err := os.WriteFile(r.path(".env"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p := project(t, &f, r, "docker-compose.yml"); p != nil {
			f.same("the secret in the container", environment(p.Services["email-worker"])["SMTP_PASSWORD"], secret)
		}
		look, _, err := config.Environment(r.path(".env"))
		if err != nil {
			t.Fatal(err)
		}
		seen, _ := look("SMTP_PASSWORD")
		f.same("the secret of a worker with --env-file", seen, secret)
	}
	for _, fault := range f {
		t.Error(fault)
	}
}

// Lanes and orders are one edit of .env away: the workers have those whose
// topics kafka-init makes.
func TestLanesInCompose(t *testing.T) {
	t.Parallel()
	r, f := newTree(t), faults{}
	text := regexp.MustCompile(`(?m)^# (KAFKA_\w+_REQUEST_TOPIC_(?:HIGH|BULK)|KAFKA_CONTROL_TOPIC)=`).ReplaceAllString(r.read(t, ".env.example"), "$1=")
	if err := os.WriteFile(r.path(".env"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := project(t, &f, r, "docker-compose.yml")
	if p == nil {
		t.Fatal(f)
	}
	for _, channel := range channels() {
		worker, err := config.Load(lookup(environment(p.Services[channel+"-worker"])), channel)
		if err != nil {
			t.Fatal(err)
		}
		tool, err := config.LoadTool(lookup(environment(p.Services["kafka-init"])), channel)
		if err != nil {
			t.Fatal(err)
		}
		f.same(channel+": topics of lanes and orders", given(worker), given(tool))
		f.same(channel+": number of them", len(given(tool)), len(models.Lanes())+1)
	}
	for _, fault := range f {
		t.Error(fault)
	}
}

// given returns the topics of requests and orders that somebody named.
func given(c *config.Config) []string {
	var topics []string
	for _, lane := range c.Lanes() {
		if lane.Kafka.LaneGiven {
			topics = append(topics, lane.Kafka.RequestTopic)
		}
	}
	if c.Kafka.ControlGiven {
		topics = append(topics, c.Kafka.ControlTopic)
	}
	return topics
}

func environment(s types.ServiceConfig) map[string]string {
	env := map[string]string{}
	for name, value := range s.Environment {
		if value != nil {
			env[name] = *value
		}
	}
	return env
}

// checkCompose returns the project, or nil where it cannot be read.
func checkCompose(t *testing.T, f *faults, r tree, images map[string]image) *types.Project {
	t.Helper()
	const file = "docker-compose.yml"
	p := project(t, f, r, file)
	if p == nil {
		return nil
	}
	brokers := checkBrokers(t, f, r, file, p)
	f.same(file+": KAFKA_BROKERS of .env.example", r.example(t)["KAFKA_BROKERS"], strings.Join(brokers.outside, ","))
	for name, s := range p.Services {
		checkService(f, r, file+": "+name, s, images)
	}
	for _, channel := range channels() {
		checkWorkerService(t, f, r, file, p, channel, brokers.inside, images)
	}
	checkInit(f, r, file, p, brokers.inside, images)
	ui := p.Services["kafka-ui"]
	f.same(file+": kafka-ui: brokers", environment(ui)["KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"], strings.Join(brokers.inside, ","))
	if len(ui.Ports) != 1 || ui.Ports[0].Published != "28080" {
		f.add("%s: kafka-ui: ports %v, want 28080", file, ui.Ports)
	}
	for name, port := range map[string]uint32{"kafka-ui": 8080, "mailpit": 8025, "prometheus": 9090, "grafana": 3000} { // of their images
		if ports := p.Services[name].Ports; len(ports) != 1 || ports[0].Target != port {
			f.add("%s: %s: port of the image: %v, want %d", file, name, ports, port)
		}
	}
	f.states(t, r, "stop_grace_period", grace(p, "email-worker"), grace(p, "sms-worker"))
	f.same(file+": stop_grace_period of whatsapp-worker", grace(p, "whatsapp-worker"), grace(p, "sms-worker"))
	// Kafka alone starts without a .env.
	if err := os.Remove(r.path(".env")); err != nil {
		t.Fatal(err)
	}
	project(t, f, r, file)
	if err := os.WriteFile(r.path(".env"), []byte(r.read(t, ".env.example")), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// grace is how many seconds a service has to stop.
func grace(p *types.Project, service string) float64 {
	if s := p.Services[service]; s.StopGracePeriod != nil {
		return time.Duration(*s.StopGracePeriod).Seconds()
	}
	return 0
}

// checkService holds what is the same for every service.
func checkService(f *faults, r tree, where string, s types.ServiceConfig, images map[string]image) {
	if s.Build != nil {
		if _, ok := images[s.Build.Target]; !ok {
			f.add("%s: the Dockerfile has no target %q", where, s.Build.Target)
		}
		f.same(where+": build context", s.Build.Context, string(r))
		for _, name := range unknown(environment(s)) {
			f.add("%s: %s is not a setting", where, name)
		}
	} else if _, tag, ok := strings.Cut(s.Image, ":"); !ok || tag == "latest" || tag == "" {
		f.add("%s: image %s: no version is pinned", where, s.Image)
	}
	for _, port := range s.Ports {
		f.same(where+": host address of port "+port.Published, port.HostIP, "127.0.0.1")
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		if _, err := os.Stat(v.Source); err != nil {
			f.add("%s: mounts %s, which does not exist", where, strings.TrimPrefix(v.Source, string(r)+"/"))
		}
	}
}

func checkWorkerService(t *testing.T, f *faults, r tree, file string, p *types.Project, channel string, brokers []string, images map[string]image) {
	t.Helper()
	name := channel + "-worker"
	where := file + ": " + name
	s, ok := p.Services[name]
	if !ok || s.Build == nil {
		f.add("%s is not there, or not built", where)
		return
	}
	f.same(where+": target", s.Build.Target, name)
	env := environment(s)
	c, err := config.Load(lookup(env), channel)
	if err != nil {
		f.add("%s: %v", where, err)
		return
	}
	f.same(where+": brokers", c.Kafka.Brokers, brokers)
	f.same(where+": listen address", c.Host, "")
	f.same(where+": port of the image", []string{strconv.Itoa(c.Port)}, images[name].ports)
	if len(s.Ports) != 1 || int(s.Ports[0].Target) != c.Port || s.Ports[0].Published != r.example(t)[strings.ToUpper(channel)+"_APP_PORT"] {
		f.add("%s: ports %v, want the worker's %d as the one of .env.example", where, s.Ports, c.Port)
	}
	if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		f.add("%s: has more rights than it needs", where)
	}
	for _, other := range []string{"kafka-1", "kafka-2", "kafka-3"} {
		f.same(where+": waits for "+other, s.DependsOn[other].Condition, types.ServiceConditionHealthy)
	}
	f.same(where+": waits for kafka-init", s.DependsOn["kafka-init"].Condition, types.ServiceConditionCompletedSuccessfully)
	if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) <= longestDrain(t, env, channel) {
		f.add("%s: stop_grace_period is %v, and a drain takes up to %v", where, s.StopGracePeriod, longestDrain(t, env, channel))
	}
}

// longestDrain is how long a worker may take to stop with its slowest provider,
// and to flush and close behind that.
func longestDrain(t *testing.T, env map[string]string, channel string) time.Duration {
	t.Helper()
	slowest := map[string]string{
		"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "relay", "SMTP_AUTH": "none",
		"SMS_PROVIDER": "twilio", "WHATSAPP_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000001", "TWILIO_AUTH_TOKEN": "x",
	}
	both := maps.Clone(env)
	maps.Copy(both, slowest)
	c, err := config.Load(lookup(both), channel)
	if err != nil {
		t.Fatal(err)
	}
	return c.ShutdownTimeout + 4*time.Second
}

func checkInit(f *faults, r tree, file string, p *types.Project, brokers []string, images map[string]image) {
	where := file + ": kafka-init"
	s := p.Services["kafka-init"]
	if s.Build == nil || len(s.Entrypoint) == 0 {
		f.add("%s: is not built, or runs nothing", where)
		return
	}
	script, found := strings.CutPrefix(s.Entrypoint[0], images[s.Build.Target].dir+"/")
	source := images[s.Build.Target].files[path.Join(images[s.Build.Target].dir, "scripts")]
	info, err := os.Stat(r.path(script))
	if !found || source != ":scripts" || err != nil || info.Mode()&0o111 == 0 {
		f.add("%s: %s is no script that the image has and can run", where, s.Entrypoint[0])
	}
	for _, channel := range channels() {
		c, err := config.LoadTool(lookup(environment(s)), channel)
		if err != nil {
			f.add("%s: %v", where, err)
			return
		}
		f.same(where+": brokers", c.Kafka.Brokers, brokers)
		f.same(where+": replication", c.Kafka.Topic.Replication, len(brokers))
		f.same(where+": min ISR", c.Kafka.Topic.MinISR, len(brokers)-1)
	}
}

// checkTestCompose looks at the one broker for tests.
func checkTestCompose(t *testing.T, f *faults, r tree) *types.Project {
	t.Helper()
	const file = "test/docker-compose.yml"
	p := project(t, f, r, file)
	if p == nil {
		return nil
	}
	brokers := checkBrokers(t, f, r, file, p)
	for _, address := range brokers.outside {
		if !strings.Contains(r.read(t, file), "KAFKA_TEST_BROKERS="+address+" ") {
			f.add("%s: its comment does not name the broker %s", file, address)
		}
	}
	for name, s := range p.Services {
		checkService(f, r, file+": "+name, s, nil)
	}
	return p
}
