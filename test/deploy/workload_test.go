package deploy_test

import (
	"context"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"messaging-worker/internal/config"
	"messaging-worker/internal/health"
)

// checkWorkload holds one channel's worker against its settings, its secrets,
// its scaler and its budget. Lanes is how many it has.
func checkWorkload(t *testing.T, f *faults, r tree, where string, o objects, channel string, lanes int, secrets secretKeys) {
	t.Helper()
	name := channel + "-worker"
	w, ok := o.workers[name]
	if !ok || len(w.template.Spec.Containers) != 1 {
		f.add("%s: is not there, or has not one container", where)
		return
	}
	container := w.template.Spec.Containers[0]
	if image, _, _ := strings.Cut(path.Base(container.Image), ":"); image != name {
		f.add("%s: image %s", where, container.Image)
	}
	checkRights(f, where, w.template.Spec, container)
	checkLabels(f, where, o, w)
	env := checkEnvironment(t, f, where, o, w.template.Spec, container, secrets)
	c, err := config.Load(lookup(env), channel)
	if err != nil {
		f.add("%s: %v", where, err)
		return
	}
	f.same(where+": lanes", len(c.Lanes()), lanes)
	f.same(where+": has orders as it has lanes", c.Kafka.ControlTopic != "", lanes > 1)
	f.same(where+": port", portNamed(container, "http"), c.Port)
	f.same(where+": port of the metrics", w.template.Annotations["prometheus.io/port"], c.Port)
	f.same(where+": path of the metrics", w.template.Annotations["prometheus.io/path"], "/metrics")
	checkProbe(f, where+": liveness", container, container.LivenessProbe, "/healthz/live")
	checkProbe(f, where+": readiness", container, container.ReadinessProbe, "/healthz/ready")
	grace := time.Duration(*w.template.Spec.TerminationGracePeriodSeconds) * time.Second
	if grace < c.ShutdownTimeout+5*time.Second {
		f.add("%s: terminationGracePeriodSeconds is %v, and a drain takes %v and some to close", where, grace, c.ShutdownTimeout)
	}
	checkScaler(f, where, o, w, name, c, env)
	if s := o.scalers[name]; s != nil && s.Spec.MinReplicaCount != nil && s.Spec.MaxReplicaCount != nil {
		f.states(t, r, "pods", *s.Spec.MinReplicaCount, *s.Spec.MaxReplicaCount, c.Kafka.Topic.Partitions)
	}
}

// checkRights wants a container that can do nothing but its work.
func checkRights(f *faults, where string, pod core.PodSpec, c core.Container) {
	s, p := c.SecurityContext, pod.SecurityContext
	if s == nil || p == nil {
		f.add("%s: has no security context", where)
		return
	}
	held := s.ReadOnlyRootFilesystem != nil && *s.ReadOnlyRootFilesystem && s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation &&
		s.Capabilities != nil && slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) && len(s.Capabilities.Add) == 0 &&
		p.RunAsNonRoot != nil && *p.RunAsNonRoot && p.SeccompProfile != nil && p.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault &&
		pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken && pod.EnableServiceLinks != nil && !*pod.EnableServiceLinks
	if !held {
		f.add("%s: has more rights than it needs", where)
	}
	user := strconv.FormatInt(*p.RunAsUser, 10) + ":" + strconv.FormatInt(*p.RunAsGroup, 10)
	f.same(where+": user", user, "65532:65532")
	f.same(where+": group of the secrets", *p.FSGroup, *p.RunAsGroup)
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
		f.add("%s: asks for no resources", where)
	}
}

func checkLabels(f *faults, where string, o objects, w workload) {
	if !selects(w.selector, w.template.Labels) {
		f.add("%s: does not select its own pods", where)
	}
	for _, spread := range w.template.Spec.TopologySpreadConstraints {
		f.same(where+": pods that it spreads by "+spread.TopologyKey, spread.LabelSelector.MatchLabels, w.selector)
	}
	f.same(where+": spreads", len(w.template.Spec.TopologySpreadConstraints), 2)
	budgets := 0
	for _, b := range o.budgets {
		if selects(b.Spec.Selector.MatchLabels, w.template.Labels) {
			budgets++
		}
	}
	f.same(where+": disruption budgets", budgets, 1)
}

// checkEnvironment returns the settings of a container, each X_FILE as a file
// that is there; in the cluster it must be one of a mounted secret.
func checkEnvironment(t *testing.T, f *faults, where string, o objects, pod core.PodSpec, c core.Container, secrets secretKeys) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		settings, ok := o.configMaps[from.ConfigMapRef.Name]
		if !ok {
			f.add("%s: there is no ConfigMap %s", where, from.ConfigMapRef.Name)
			continue
		}
		maps.Copy(env, settings.Data)
	}
	for _, v := range c.Env {
		env[v.Name] = expand(v.Value, env)
		if v.ValueFrom != nil {
			env[v.Name] = "from-the-cluster"
		}
		if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
			secrets.need(v.ValueFrom.SecretKeyRef.Name, v.ValueFrom.SecretKeyRef.Key)
		}
	}
	checkMemory(f, where, env["GOMEMLIMIT"], c)
	delete(env, "GOMEMLIMIT") // the Go runtime's own
	for _, name := range unknown(env) {
		if strings.HasPrefix(name, "KEDA_") {
			continue // checkScaler wants it
		}
		f.add("%s: %s is not a setting", where, name)
	}
	there := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(there, anyCertificate(), 0o600); err != nil { // a text like another for what wants a secret
		t.Fatal(err)
	}
	for name, value := range env {
		if !strings.HasSuffix(name, "_FILE") {
			continue
		}
		if env[name] = there; !mountedSecret(pod, c, value, secrets) {
			f.add("%s: %s is %s, which no secret is mounted at", where, name, value)
		}
	}
	return env
}

// checkMemory wants the Go runtime's own limit below the container's.
func checkMemory(f *faults, where, limit string, c core.Container) {
	bytes, err := resource.ParseQuantity(strings.TrimSuffix(limit, "B"))
	if err != nil || bytes.Cmp(*c.Resources.Limits.Memory()) >= 0 {
		f.add("%s: GOMEMLIMIT %q is not below the memory limit %v", where, limit, c.Resources.Limits.Memory())
	}
}

// anyCertificate returns one in PEM.
func anyCertificate() []byte {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// mountedSecret reports whether a mounted secret has a file at name, and notes
// its key.
func mountedSecret(pod core.PodSpec, c core.Container, name string, secrets secretKeys) bool {
	for _, m := range c.VolumeMounts {
		for _, v := range pod.Volumes {
			if v.Name != m.Name || v.Secret == nil || path.Dir(name) != m.MountPath {
				continue
			}
			for _, item := range v.Secret.Items {
				if item.Path == path.Base(name) && *v.Secret.DefaultMode == 0o440 && m.ReadOnly {
					secrets.need(v.Secret.SecretName, item.Key)
					return true
				}
			}
		}
	}
	return false
}

// checkProbe asks the workers' own handler for the path of a probe.
func checkProbe(f *faults, where string, c core.Container, p *core.Probe, want string) {
	if p == nil || p.HTTPGet == nil {
		f.add("%s: there is no probe over HTTP", where)
		return
	}
	f.same(where+": path", p.HTTPGet.Path, want)
	if p.HTTPGet.Port.StrVal == "" || portNamed(c, p.HTTPGet.Port.StrVal) == 0 {
		f.add("%s: port %s is none of the container's", where, p.HTTPGet.Port.String())
	}
	answer := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(context.Background(), http.MethodGet, p.HTTPGet.Path, http.NoBody)
	new(health.Health).Handler().ServeHTTP(answer, request)
	f.same(where+": answer of a worker", answer.Code, http.StatusOK)
}

// saslOfKEDA returns a mechanism of ours in the words of KEDA's Kafka scaler.
func saslOfKEDA(mechanism string) string {
	return map[string]string{
		"": "none", "PLAIN": "plaintext", "SCRAM-SHA-256": "scram_sha256", "SCRAM-SHA-512": "scram_sha512", "OAUTHBEARER": "oauthbearer",
	}[mechanism]
}

// kedaKafka are the members that KEDA's Kafka scaler reads, of those that fit
// here; in its type they are a map.
func kedaKafka() []string {
	return []string{
		"bootstrapServersFromEnv", "consumerGroupFromEnv", "topicFromEnv", "lagThreshold", "activationLagThreshold", "offsetResetPolicy", "allowIdleConsumers",
		"limitToPartitionsWithLag", "excludePersistentLag", "scaleToZeroOnInvalidOffset", "sasl", "tls", "version", "partitionLimitation",
	}
}

// expand puts variables in for $(NAME), as a container's environment does and
// KEDA with it.
func expand(value string, env map[string]string) string {
	return regexp.MustCompile(`\$\((\w+)\)`).ReplaceAllStringFunc(value, func(reference string) string {
		if v, ok := env[reference[2:len(reference)-1]]; ok {
			return v
		}
		return reference
	})
}

// checkScaler holds what scales a worker against the worker's own settings,
// which env has as KEDA reads them from its container.
func checkScaler(f *faults, where string, o objects, w workload, name string, c *config.Config, env map[string]string) {
	s := o.scalers[name]
	if s == nil || s.Spec.MinReplicaCount == nil || s.Spec.MaxReplicaCount == nil {
		f.add("%s: nothing scales it within bounds", where)
		return
	}
	f.same(where+": scaled kind", s.Spec.ScaleTargetRef.Kind, w.kind)
	f.same(where+": container that the scaler reads", s.Spec.ScaleTargetRef.EnvSourceContainerName, w.template.Spec.Containers[0].Name)
	if most := int(*s.Spec.MaxReplicaCount); most > c.Kafka.Topic.Partitions || most < int(*s.Spec.MinReplicaCount) || *s.Spec.MinReplicaCount < 1 {
		f.add("%s: %d to %d pods for %d partitions", where, *s.Spec.MinReplicaCount, most, c.Kafka.Topic.Partitions)
	}
	if err := keda.ValidateTriggers(s.Spec.Triggers); err != nil {
		f.add("%s: %v", where, err)
	}
	// KEDA keeps what it has read until the ScaledObject's spec changes.
	f.same(where+": settings that the scaler changes with", s.Spec.Triggers[0].Name, w.template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name)
	f.same(where+": triggers, one a lane", len(s.Spec.Triggers), len(c.Lanes()))
	for _, lane := range c.Lanes() {
		i := slices.IndexFunc(s.Spec.Triggers, func(trigger keda.ScaleTriggers) bool {
			return env[trigger.Metadata["topicFromEnv"]] == lane.Kafka.RequestTopic
		})
		if i < 0 {
			f.add("%s: no scaler's topic is that of lane %s", where, lane.Lane)
			continue
		}
		checkTrigger(f, where+": lane "+lane.Lane, o, s.Spec.Triggers[i], lane, env)
	}
}

// checkTrigger holds what KEDA asks Kafka against the settings of a lane.
func checkTrigger(f *faults, where string, o objects, trigger keda.ScaleTriggers, c *config.Config, env map[string]string) {
	f.same(where+": trigger", trigger.Type, "kafka")
	for key := range trigger.Metadata {
		if !slices.Contains(kedaKafka(), key) {
			f.add("%s: KEDA's Kafka scaler has no %s", where, key)
		}
	}
	f.same(where+": scaler's group", env[trigger.Metadata["consumerGroupFromEnv"]], c.Kafka.Group)
	f.same(where+": scaler's brokers", env[trigger.Metadata["bootstrapServersFromEnv"]], strings.Join(c.Kafka.Brokers, ","))
	f.same(where+": scaler's TLS", trigger.Metadata["tls"] == "enable", c.Kafka.TLS())
	f.same(where+": scaler's SASL", trigger.Metadata["sasl"], saslOfKEDA(c.Kafka.SASLMechanism))
	f.same(where+": paused channels are left out", trigger.Metadata["excludePersistentLag"], "true")
	if trigger.AuthenticationRef == nil || o.triggerAuth[trigger.AuthenticationRef.Name] == nil {
		f.add("%s: the scaler's TriggerAuthentication is not there", where)
	}
}
