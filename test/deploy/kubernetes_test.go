package deploy_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"messaging-worker/internal/models"
)

// objects are what a kustomization makes, by kind and name. A StatefulSet
// stands among the deployments, as far as it is the same.
type objects struct {
	workers     map[string]workload
	configMaps  map[string]*core.ConfigMap
	services    map[string]*core.Service
	budgets     []*policy.PodDisruptionBudget
	scalers     map[string]*keda.ScaledObject // by the name of what they scale
	triggerAuth map[string]*keda.TriggerAuthentication
	namespaces  map[string]bool
}

// workload is a Deployment or a StatefulSet.
type workload struct {
	kind     string
	replicas *int32
	selector map[string]string
	template core.PodTemplateSpec
	service  string // of a StatefulSet
}

// secretKeys are the keys that each secret must have.
type secretKeys map[string]map[string]bool

func (s secretKeys) need(secret, key string) {
	if s[secret] == nil {
		s[secret] = map[string]bool{}
	}
	s[secret][key] = true
}

func checkKubernetes(t *testing.T, f *faults, r tree) secretKeys {
	t.Helper()
	const dir = "deploy/kubernetes/"
	secrets := secretKeys{}
	for _, variant := range []string{"base", "example", "lanes", "static"} { // the last two: the example with one component, and with both
		source, lanes := dir+variant, 1
		switch variant {
		case "lanes":
			enable(t, f, r, "# components:", "#   - ../lanes", "      # - KAFKA_CONTROL_TOPIC=")
		case "static":
			enable(t, f, r, "#   - ../static-members")
		}
		if variant == "lanes" || variant == "static" {
			source, lanes = dir+"example", len(models.Lanes())
		}
		o, ok := render(t, f, r, source)
		if !ok {
			continue
		}
		if variant == "example" && !maps.Equal(o.namespaces, map[string]bool{"messaging": true}) {
			f.add("%s: namespaces %v", source, o.namespaces)
		}
		for _, channel := range channels() {
			checkWorkload(t, f, r, variant+": "+channel+"-worker", o, channel, lanes, secrets)
		}
		for name, auth := range o.triggerAuth {
			for _, ref := range auth.Spec.SecretTargetRef {
				secrets.need(ref.Name, ref.Key)
			}
			f.same(variant+": TriggerAuthentication "+name+": number of parameters", len(auth.Spec.SecretTargetRef), 3)
		}
		if variant == "static" {
			checkStaticMembers(f, o)
		}
		if email, sms := o.workers["email-worker"], o.workers["sms-worker"]; variant == "base" && email.kind != "" && sms.kind != "" {
			f.states(t, r, "terminationGracePeriodSeconds", *sms.template.Spec.TerminationGracePeriodSeconds, *email.template.Spec.TerminationGracePeriodSeconds)
		}
	}
	checkOverlay(t, f, r)
	return secrets
}

// render builds a kustomization and decodes what comes of it strictly: an
// unknown field, kind or version is a fault.
func render(t *testing.T, f *faults, r tree, dir string) (objects, bool) {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), r.path(dir))
	if err != nil {
		f.add("%s: %v", dir, err)
		return objects{}, false
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, apps.AddToScheme, policy.AddToScheme, keda.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	o := objects{
		workers: map[string]workload{}, configMaps: map[string]*core.ConfigMap{}, services: map[string]*core.Service{},
		scalers: map[string]*keda.ScaledObject{}, triggerAuth: map[string]*keda.TriggerAuthentication{}, namespaces: map[string]bool{},
	}
	ok := true
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := strict.Decode(text, nil, nil)
		if err != nil {
			f.add("%s: %s %s: %v", dir, resource.GetKind(), resource.GetName(), err)
			ok = false
			continue
		}
		o.namespaces[resource.GetNamespace()] = true
		o.keep(f, object)
	}
	return o, ok
}

func (o *objects) keep(f *faults, object runtime.Object) {
	switch v := object.(type) {
	case *apps.Deployment:
		o.workers[v.Name] = workload{"Deployment", v.Spec.Replicas, v.Spec.Selector.MatchLabels, v.Spec.Template, ""}
	case *apps.StatefulSet:
		o.workers[v.Name] = workload{"StatefulSet", v.Spec.Replicas, v.Spec.Selector.MatchLabels, v.Spec.Template, v.Spec.ServiceName}
	case *core.ConfigMap:
		o.configMaps[v.Name] = v
	case *core.Service:
		o.services[v.Name] = v
	case *policy.PodDisruptionBudget:
		o.budgets = append(o.budgets, v)
	case *keda.ScaledObject:
		o.scalers[v.Spec.ScaleTargetRef.Name] = v
	case *keda.TriggerAuthentication:
		o.triggerAuth[v.Name] = v
	default:
		f.add("a %T is not expected", object)
	}
}

// enable takes lines of the example in, as its comments say.
func enable(t *testing.T, f *faults, r tree, lines ...string) {
	t.Helper()
	const file = "deploy/kubernetes/example/kustomization.yaml"
	text := r.read(t, file)
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line) {
			f.add("%s: does not show %q", file, line)
		}
		text = strings.Replace(text, "\n"+line, "\n"+strings.Replace(line, "# ", "", 1), 1)
	}
	if err := os.WriteFile(r.path(file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func checkStaticMembers(f *faults, o objects) {
	for name, w := range o.workers {
		f.same("static: "+name+": kind", w.kind, "StatefulSet")
		for _, v := range w.template.Spec.Containers[0].Env {
			if v.Name == "KAFKA_GROUP_INSTANCE_ID" && v.ValueFrom != nil && v.ValueFrom.FieldRef != nil && v.ValueFrom.FieldRef.FieldPath == "metadata.name" {
				name = ""
			}
		}
		if name != "" {
			f.add("static: %s: its instance id is not the pod's name", name)
		}
	}
	for _, settings := range o.configMaps {
		f.same("static: session time-out, longer than a restart", settings.Data["KAFKA_SESSION_TIMEOUT_SECONDS"], "60")
	}
	for name, w := range o.workers {
		service := o.services[w.service]
		if service == nil || service.Spec.ClusterIP != "None" {
			f.add("static: %s: there is no headless Service %s", name, w.service)
			continue
		}
		if !selects(service.Spec.Selector, w.template.Labels) {
			f.add("static: the Service does not select %s", name)
		}
	}
}

// selects reports whether a selector, which must say something, fits labels.
func selects(selector, labels map[string]string) bool {
	if len(selector) == 0 {
		return false
	}
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// portNamed returns the container's port of a name, or 0.
func portNamed(c core.Container, name string) int32 {
	i := slices.IndexFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name == name })
	if i < 0 {
		return 0
	}
	return c.Ports[i].ContainerPort
}
