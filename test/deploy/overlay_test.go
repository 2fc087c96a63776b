package deploy_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// lowerOverlay is a user's own: another cluster, group and topic, other names, and
// two layers of settings, of which the upper one wins.
const lowerOverlay = `
namespace: other
namePrefix: blue-
nameSuffix: -eu
resources: [../base]
configMapGenerator:
  - name: settings
    behavior: merge
    literals:
      - KAFKA_BROKERS=broker-1.example.com:9093,broker-2.example.com:9093
      - KAFKA_SMS_REQUEST_TOPIC=acme.sms.request
      - SMS_CONSUMER_GROUP=below
`

// upperOverlay stands on it.
const upperOverlay = `
resources: [../lower]
configMapGenerator:
  - name: settings
    behavior: merge
    literals: [SMS_CONSUMER_GROUP=acme-sms]
`

// checkOverlay wants KEDA to ask the cluster that the workers of an overlay
// work on, which names it once.
func checkOverlay(t *testing.T, f *faults, r tree) {
	t.Helper()
	lower, ok := renderOverlay(t, f, r, "lower", lowerOverlay)
	if !ok {
		return
	}
	upper, ok := renderOverlay(t, f, r, "upper", upperOverlay)
	if !ok {
		return
	}
	if members, ok := renderOverlay(t, f, r, "members", lowerOverlay+"components: [../static-members]\n"); ok {
		checkStaticMembers(f, members)
	}
	// A lane that is taken in goes by the group that is named there.
	if laned, ok := renderOverlay(t, f, r, "laned", upperOverlay+"components: [../lanes]\n"); ok {
		checkLanesOfOverlay(f, laned)
	}
	const where, name = "overlay: sms-worker: ", "blue-sms-worker-eu"
	f.same("overlay: namespaces", upper.namespaces, map[string]bool{"other": true})
	w, s := upper.workers[name], upper.scalers[name]
	if s == nil || len(s.Spec.Triggers) != 1 || len(w.template.Spec.Containers) != 1 {
		f.add("%snothing scales it", where)
		return
	}
	trigger, container := s.Spec.Triggers[0], w.template.Spec.Containers[0]
	f.same(where+"scaler's brokers", resolved(trigger.Metadata, "bootstrapServers", upper, container), "broker-1.example.com:9093,broker-2.example.com:9093")
	f.same(where+"scaler's topic", resolved(trigger.Metadata, "topic", upper, container), "acme.sms.request")
	f.same(where+"scaler's group", resolved(trigger.Metadata, "consumerGroup", upper, container), "acme-sms")
	if upper.triggerAuth[trigger.AuthenticationRef.Name] == nil {
		f.add("%sthere is no TriggerAuthentication %s", where, trigger.AuthenticationRef.Name)
	}
	if before := lower.scalers[name]; before == nil || before.Spec.Triggers[0].Name == trigger.Name {
		f.add("%sother settings leave the ScaledObject as it is, and KEDA at the old ones", where)
	}
}

// checkLanesOfOverlay wants KEDA to ask for the lanes' own groups.
func checkLanesOfOverlay(f *faults, o objects) {
	const name = "blue-sms-worker-eu"
	w, s := o.workers[name], o.scalers[name]
	if s == nil || len(s.Spec.Triggers) != 3 || len(w.template.Spec.Containers) != 1 {
		f.add("overlay with lanes: not three triggers scale sms-worker")
		return
	}
	for i, lane := range []string{"high", "bulk"} { // behind the one that has none of these names
		metadata, container := s.Spec.Triggers[1+i].Metadata, w.template.Spec.Containers[0]
		f.same("overlay: topic of lane "+lane, resolved(metadata, "topic", o, container), "messages.sms.request."+lane)
		f.same("overlay: group of lane "+lane, resolved(metadata, "consumerGroup", o, container), "acme-sms."+lane)
	}
}

func renderOverlay(t *testing.T, f *faults, r tree, name, text string) (objects, bool) {
	t.Helper()
	dir := r.path("deploy/kubernetes/" + name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/kustomization.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return render(t, f, r, "deploy/kubernetes/"+name)
}

// resolved returns a parameter of a trigger as KEDA does: from its metadata, or
// from the environment of the scaled container.
func resolved(metadata map[string]string, name string, o objects, c core.Container) string {
	if value, ok := metadata[name]; ok {
		return value
	}
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		if settings := o.configMaps[from.ConfigMapRef.Name]; settings != nil {
			maps.Copy(env, settings.Data)
		}
	}
	for _, v := range c.Env {
		env[v.Name] = expand(v.Value, env)
	}
	return strings.TrimSpace(env[metadata[name+"FromEnv"]])
}
