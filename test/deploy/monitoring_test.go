package deploy_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// prometheus is what deploy/observability/prometheus.yml says; a member that is
// not here is an error.
type prometheus struct {
	Global struct {
		ScrapeInterval     string `yaml:"scrape_interval"`
		EvaluationInterval string `yaml:"evaluation_interval"`
	}
	RuleFiles     []string `yaml:"rule_files"`
	ScrapeConfigs []struct {
		JobName      string `yaml:"job_name"`
		MetricsPath  string `yaml:"metrics_path"`
		DNSSDConfigs []struct {
			Names           []string
			Type            string
			Port            int
			RefreshInterval string `yaml:"refresh_interval"`
		} `yaml:"dns_sd_configs"`
	} `yaml:"scrape_configs"`
}

type datasources struct {
	APIVersion  int `yaml:"apiVersion"`
	Datasources []struct {
		Name, Type, Access, URL string
		IsDefault               bool              `yaml:"isDefault"`
		JSONData                map[string]string `yaml:"jsonData"`
	}
}

type dashboards struct {
	APIVersion int `yaml:"apiVersion"`
	Providers  []struct {
		Name, Type     string
		AllowUIUpdates bool `yaml:"allowUiUpdates"`
		Options        struct{ Path string }
	}
}

// strictly reads YAML into v, and every member must be known there.
func strictly(t *testing.T, f *faults, r tree, file string, v any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(r.read(t, file)))
	d.KnownFields(true)
	if err := d.Decode(v); err != nil {
		f.add("%s: %v", file, err)
	}
}

func checkMonitoring(t *testing.T, f *faults, r tree, p *types.Project) {
	t.Helper()
	const dir = "deploy/observability/"
	checkAlertedGroups(t, f, r, dir+"alerts.yml")
	before := len(*f)
	var scrapes prometheus
	strictly(t, f, r, dir+"prometheus.yml", &scrapes)
	var sources datasources
	strictly(t, f, r, dir+"grafana/datasources.yml", &sources)
	var boards dashboards
	strictly(t, f, r, dir+"grafana/dashboards.yml", &boards)
	if p == nil || len(*f) > before {
		return // the rest speaks of what is broken already
	}
	prom, graf := p.Services["prometheus"], p.Services["grafana"]
	f.same("prometheus: settings", mounted(prom, "/etc/prometheus/prometheus.yml"), r.path(dir+"prometheus.yml"))
	for _, rules := range scrapes.RuleFiles {
		f.same("prometheus: rules "+rules, mounted(prom, rules), r.path(dir+"alerts.yml"))
	}
	f.same("prometheus.yml: rule files", len(scrapes.RuleFiles), 1)
	for _, s := range scrapes.ScrapeConfigs {
		f.same("prometheus.yml: metrics_path", s.MetricsPath, "/metrics")
		var names []string
		for _, d := range s.DNSSDConfigs {
			names = append(names, d.Names...)
			f.same("prometheus.yml: type of names", d.Type, "A")
			for _, name := range d.Names {
				if ports := p.Services[name].Ports; len(ports) != 1 || int(ports[0].Target) != d.Port {
					f.add("prometheus.yml: %s does not listen on %d", name, d.Port)
				}
			}
		}
		f.same("prometheus.yml: who is asked", len(names), len(channels()))
	}
	f.same("grafana: data source", sources.Datasources[0].URL, "http://prometheus:9090")
	f.same("prometheus: port", prom.Ports[0].Target, 9090)
	f.same("grafana: dashboard", mounted(graf, boards.Providers[0].Options.Path+"/messaging.json"), r.path(dir+"dashboard.json"))
	f.same("grafana: data sources", mounted(graf, "/etc/grafana/provisioning/datasources/messaging.yml"), r.path(dir+"grafana/datasources.yml"))
	f.same("grafana: dashboards", mounted(graf, "/etc/grafana/provisioning/dashboards/messaging.yml"), r.path(dir+"grafana/dashboards.yml"))
}

// checkAlertedGroups wants the alert on groups that nobody is in to know those
// of .env.example: it would be silent about others.
func checkAlertedGroups(t *testing.T, f *faults, r tree, file string) {
	t.Helper()
	m := regexp.MustCompile(`kafka_consumergroup_lag\{consumergroup=~"([^"]+)"\}`).FindStringSubmatch(r.read(t, file))
	if m == nil {
		f.add("%s: no alert reads the lag of groups", file)
		return
	}
	alerted, err := regexp.Compile("^(?:" + m[1] + ")$")
	if err != nil {
		f.add("%s: %v", file, err)
		return
	}
	env := r.example(t)
	for _, channel := range channels() {
		for _, lane := range []string{"", ".high", ".bulk"} {
			if group := env[strings.ToUpper(channel)+"_CONSUMER_GROUP"] + lane; !alerted.MatchString(group) {
				f.add("%s: no alert on group %s of .env.example", file, group)
			}
		}
	}
}

// mounted returns what a service sees at target.
func mounted(s types.ServiceConfig, target string) string {
	for _, v := range s.Volumes {
		if v.Target == target {
			return v.Source
		}
	}
	return "nothing"
}
