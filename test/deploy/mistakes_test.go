package deploy_test

import (
	"os"
	"strings"
	"testing"
)

// documents stands for all pages: an edit of it is made everywhere in them.
const documents = "documents"

// mistake is one edit that must not pass: old becomes wrong in file.
type mistake struct{ file, old, wrong, report string }

func mistakes() []mistake {
	const (
		docker  = "Dockerfile"
		compose = "docker-compose.yml"
		single  = "test/docker-compose.yml"
		worker  = "deploy/kubernetes/worker/deployment.yaml"
		scaling = "deploy/kubernetes/worker/scaling.yaml"
		base    = "deploy/kubernetes/base/settings.env"
		lanes   = "deploy/kubernetes/lanes/kustomization.yaml"
		obs     = "deploy/observability/"
	)
	return []mistake{
		{docker, `"/sms-worker", "--healthcheck"`, `"/email-worker", "--healthcheck"`, "sms-worker: healthcheck"},
		{docker, "COPY internal ./internal", "COPY pkg ./pkg", "COPY pkg"},
		{docker, "AS sms-worker", "AS sms", "no target sms-worker"},
		{docker, "USER 65532:65532", "USER root", "user is root"},
		{docker, "COPY --from=build /out/sms-worker", "COPY --from=builder /out/sms-worker", "no such stage"},
		{docker, "EXPOSE 8080\nHEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD [\"/email", "EXPOSE 8081\nHEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD [\"/email", "email-worker: ports"},
		{docker, "golang:${GO_VERSION}-trixie", "golang:latest", "no version is pinned"},
		{docker, "WORKDIR /src", "WORKDIRR /src", "WORKDIRR"},
		{docker, "COPY --from=build /out/msgctl /usr/local/bin/msgctl\n", "", "tools: binary"},
		{docker, `ENTRYPOINT ["/msgctl"]`, `ENTRYPOINT ["/messagectl"]`, "msgctl: entrypoint"},
		{docker, "ARG VERSION=devel\n# The same", "# The same", "build: VERSION is used before"},
		{docker, "ARG TARGETARCH\n", "", "build: TARGETARCH is used before"},
		{docker, "ARG GO_VERSION=1.", "ARG GO_VERSION=0.", "is older than go.mod's"},
		{docker, "ARG GO_VERSION=1.", "ARG GO_VERSION=9.", "Dockerfile: Go, of which go.mod pins a release, is 9."},
		{"tools/go.mod", "toolchain go1.", "toolchain go9.", "Dockerfile: Go, of which tools/go.mod pins a release,"},
		{"go.mod", "toolchain go1.", "// go1.", "go.mod: pins no toolchain"},
		{docker, "--platform=$BUILDPLATFORM", "--platform=$BUILDPLATFROM", "--platform=$BUILDPLATFROM"},
		{".dockerignore", "!internal", "", "COPY internal"},
		{".dockerignore", "*\n!go.mod", "!go.mod", ".env goes into the build"},
		{".gitignore", "/.env", "/.envy", "could be committed"},

		{compose, "env_file: [{ path: .env, required: false }]", "env_file: [.env]", "env file"},
		{compose, "SMS_APP_PORT: \"8080\"", "SMS_APP_PROT: \"8080\"", "SMS_APP_PROT is not a setting"},
		{compose, "SMS_APP_PORT: \"8080\"", "SMS_APP_PORT: \"8081\"", "sms-worker: port of the image"},
		{compose, "${WHATSAPP_APP_PORT:-8083}:8080", "${WHATSAPP_APP_PORT:-8083}:8083", "whatsapp-worker: ports"},
		{compose, "target: email-worker", "target: mail-worker", `no target "mail-worker"`},
		{compose, "kafka-1:9092,kafka-2:9092,kafka-3:9092", "kafka-1:19092,kafka-2:9092,kafka-3:9092", "email-worker: brokers"},
		{compose, "127.0.0.1:29092:29092", "127.0.0.1:29093:29093", "kafka-2: ports"},
		{compose, "EXTERNAL://localhost:39092", "EXTERNAL://localhost:39093", "kafka-3: outer address"},
		{compose, "3@kafka-3:9093", "3@kafka-3:9094", "KAFKA_CONTROLLER_QUORUM_VOTERS"},
		{compose, "KAFKA_MIN_INSYNC_REPLICAS: \"2\"", "KAFKA_MIN_INSYNC_REPLICAS: \"3\"", "KAFKA_MIN_INSYNC_REPLICAS"},
		{compose, "KAFKA_AUTO_CREATE_TOPICS_ENABLE", "KAFKA_AUTO_CREATE_TOPIC_ENABLE", "KAFKA_AUTO_CREATE_TOPIC_ENABLE is not"},
		{compose, "kafka-2:/var/lib/kafka/data", "kafka-1:/var/lib/kafka/data", "kafka-2: its data"},
		{compose, "scripts/kafka-init.sh\"]", "scripts/kafka-setup.sh\"]", "kafka-setup.sh is no script"},
		{compose, "KAFKA_TOPIC_REPLICATION:-3}", "KAFKA_TOPIC_MIN_ISR:-3}", "kafka-init: replication"},
		{compose, "stop_grace_period: 75s", "stop_grace_period: 65s", "email-worker: stop_grace_period"},
		{compose, "depends_on: *kafka-is-there", "depend_on: *kafka-is-there", "depend_on"},
		{compose, "cap_drop: [ALL]", "cap_drop: [NET_RAW]", "more rights"},
		{compose, "127.0.0.1:28080:8080", "28080:8080", "kafka-ui: host address"},
		{compose, "127.0.0.1:28080:8080", "127.0.0.1:28080:9090", "kafka-ui: port"},
		{compose, "127.0.0.1:8025:8025", "127.0.0.1:8026:8025", "none names port 8026"},
		{compose, "127.0.0.1:3000:3000", "127.0.0.1:3000:3001", "grafana: port"},
		{compose, "./deploy/observability/alerts.yml", "./deploy/observability/rules.yml", "rules.yml, which does not exist"},
		{compose, "apache/kafka:4.3.1", "apache/kafka:4.0.0", "kafka-1: image"},
		{compose, "prom/prometheus:v3.5.0", "prom/prometheus", "no version is pinned"},
		{single, "EXTERNAL://localhost:49092", "EXTERNAL://localhost:19092", "kafka: outer address"},
		{single, "KAFKA_TEST_BROKERS=localhost:49092", "KAFKA_TEST_BROKERS=localhost:9092", "does not name the broker"},
		{".env.example", "localhost:19092,", "localhost:9092,", "KAFKA_BROKERS of .env.example"},
		{".env.example", "SMS_APP_PORT=8082", "SMS_APP_PORT=none", "Invalid hostPort: none"},
		{".env.example", "MAX_ATTEMPTS=5", "MAX_ATEMPTS=5", "MAX_ATEMPTS is not a setting"},

		{obs + "alerts.yml", "(email|sms|whatsapp)-workers", "(email|sms)-workers", "no alert on group whatsapp-workers"},
		{obs + "alerts.yml", "([.]high|[.]bulk)?", "([.]high)?", "no alert on group email-workers.bulk"},
		{".env.example", "SMS_CONSUMER_GROUP=sms-workers", "SMS_CONSUMER_GROUP=texters", "no alert on group texters"},
		{obs + "prometheus.yml", "scrape_interval: 15s", "scrape_intervall: 15s", "scrape_intervall"},
		{obs + "prometheus.yml", "port: 8080", "port: 8081", "does not listen on 8081"},
		{obs + "prometheus.yml", "[email-worker, ", "[mail-worker, ", "mail-worker does not listen"},
		{obs + "grafana/datasources.yml", "prometheus:9090", "prometheus:9091", "grafana: data source"},
		{obs + "grafana/dashboards.yml", "/var/lib/grafana/dashboards", "/dashboards", "grafana: dashboard"},

		{worker, "path: /healthz/ready", "path: /ready", "readiness: path"},
		{worker, "containerPort: 8080", "containerPort: 8081", "port is 8081"},
		{worker, "runAsNonRoot", "runAsNonroot", "runAsNonroot"},
		{worker, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "more rights"},
		{worker, "enableServiceLinks: false", "enableServiceLinks: true", "more rights"},
		{worker, "KAFKA_SASL_PASSWORD_FILE", "KAFKA_SASL_PASSWORT_FILE", "KAFKA_SASL_PASSWORT_FILE is not a setting"},
		{worker, "/run/secrets/kafka/password", "/run/secrets/kafka/pasword", "no secret is mounted"},
		{worker, "mountPath: /run/secrets/provider", "mountPath: /run/secret/provider", "no secret is mounted"},
		{worker, "configMapRef: { name: settings }", "configMapRef: { name: setting }", "no ConfigMap setting"},
		{worker, "terminationGracePeriodSeconds: 50", "terminationGracePeriodSeconds: 35", "terminationGracePeriodSeconds is 35s"},
		{worker, "key: ca.crt, path", "key: ca.pem, path", "keys of secret kafka-credentials"},
		{worker, "image: worker", "image: workers", "image workers"},
		{worker, "value: 640MiB", "value: 6400MiB", "GOMEMLIMIT"},
		{worker, "apiVersion: apps/v1", "apiVersion: apps/v2", "apps/v2"},
		{"deploy/kubernetes/worker/disruption.yaml", "maxUnavailable: 1", "maxUnavailabel: 1", "maxUnavailabel"},
		{scaling, "maxReplicaCount: 6", "maxReplicas: 6", "maxReplicas"},
		{scaling, "maxReplicaCount: 6", "maxReplicaCount: 24", "24 pods for 12 partitions"},
		{scaling, "lagThreshold:", "lagTreshold:", "has no lagTreshold"},
		{scaling, "bootstrapServersFromEnv: KAFKA_BROKERS", "bootstrapServersFromEnv: KAFKA_BROKER", "scaler's brokers"},
		{scaling, "bootstrapServersFromEnv: KAFKA_BROKERS", "bootstrapServers: kafka-bootstrap.kafka:9093", "has no bootstrapServers"},
		{scaling, "envSourceContainerName: worker", "envSourceContainerName: proxy", "container that the scaler reads"},
		{scaling, "    name: worker\n    envSource", "    name: workers\n    envSource", "nothing scales it"},
		{scaling, "sasl: scram_sha512", "sasl: scram_sha256", "scaler's SASL"},
		{"deploy/kubernetes/worker/names.yaml", "  - kind: ConfigMap\n    fieldSpecs:\n      - kind: ScaledObject\n        path: spec/triggers/name\n", "", "settings that the scaler changes with"},
		{"deploy/kubernetes/base/kafka-auth.yaml", "key: password }", "key: pass }", "keys of secret kafka-credentials"},
		{"deploy/kubernetes/base/kafka-auth.yaml", "secretTargetRef", "secretTargetRefs", "secretTargetRefs"},
		{"deploy/kubernetes/sms/kustomization.yaml", "value: KAFKA_SMS_REQUEST_TOPIC", "value: KAFKA_EMAIL_REQUEST_TOPIC", "scaler's topic"},
		{"deploy/kubernetes/sms/kustomization.yaml", "value: SMS_CONSUMER_GROUP", "value: WHATSAPP_CONSUMER_GROUP", "scaler's group"},
		{"deploy/kubernetes/email/kustomization.yaml", "value: 80", "value: 60", "email-worker: terminationGracePeriodSeconds"},
		{"deploy/kubernetes/whatsapp/kustomization.yaml", "key: meta-access-token", "key: meta-token", "keys of secret whatsapp-provider"},
		{"deploy/kubernetes/whatsapp/kustomization.yaml", "whatsapp-provider", "sms-provider", "keys of secret sms-provider"},
		{worker, `APP_PORT, value: "8080"`, `APP_PORT, value: "8081"`, "base: email-worker: port is 8080"},
		{base, "SMS_CONSUMER_GROUP", "SMS_CONSUMERS_GROUP", "SMS_CONSUMERS_GROUP is not a setting"},
		{base, "MAX_ATTEMPTS=5", "MAX_ATTEMPTS=five", "MAX_ATTEMPTS"},
		{base, "TWILIO_ACCOUNT_SID=", "#TWILIO_ACCOUNT_SID=", "TWILIO_ACCOUNT_SID"},
		{lanes, "KAFKA_SMS_REQUEST_TOPIC_BULK=", "KAFKA_SMS_REQUEST_TOPIC_BLUK=", "KAFKA_SMS_REQUEST_TOPIC_BLUK is not a setting"},
		{lanes, "HIGH_MAX_PENDING_BYTES=", "HIGH_PENDING_BYTES=", "HIGH_PENDING_BYTES is not a setting"},
		{lanes, "messages.email.request.bulk", "messages.email.request.high", "KAFKA_EMAIL_REQUEST_TOPIC_BULK"},
		{lanes, "topicFromEnv: KEDA_TOPIC_BULK", "topicFromEnv: KEDA_TOPIC_HIGH", "no scaler's topic is that of lane bulk"},
		{lanes, "$(SMS_CONSUMER_GROUP).high", "$(SMS_CONSUMER_GROUP).bulk", "lane high: scaler's group"},
		{lanes, "$(KAFKA_EMAIL_REQUEST_TOPIC_HIGH)", "$(KAFKA_SMS_REQUEST_TOPIC_HIGH)", "no scaler's topic is that of lane high"},
		{lanes, "kind: Deployment|StatefulSet, labelSelector: app.kubernetes.io/name=whatsapp-worker", "kind: Deployment, labelSelector: app.kubernetes.io/name=whatsapp-worker", "static: whatsapp-worker: no scaler's topic"},
		{lanes, "          type: kafka\n", "          type: kafka\n          name: settings\n", "must be unique"},
		{lanes, "labelSelector: app.kubernetes.io/name=sms-worker", "name: sms-worker", "overlay: group of lane high"},
		{lanes, `lagThreshold: "150"`, `lagThresholds: "150"`, "has no lagThresholds"},
		{"deploy/kubernetes/example/kustomization.yaml", "#   - ../lanes", "#   - ../lane", "does not show"},
		{"deploy/kubernetes/static-members/kustomization.yaml", "fieldPath: metadata.name", "fieldPath: metadata.uid", "instance id"},
		{"deploy/kubernetes/static-members/kustomization.yaml", "KAFKA_SESSION_TIMEOUT_SECONDS=60", "KAFKA_SESSION_TIMEOUT_SECONDS=10", "session time-out"},
		{"deploy/kubernetes/static-members/service.yaml", "part-of: messaging", "part-of: messages", "does not select"},
		{"deploy/kubernetes/example/kustomization.yaml", "namespace: messaging", "namespaces: messaging", "namespaces"},

		{documents, "docker compose run --rm kafka-init", "docker compose run --rm init-kafka", "has no init-kafka"},
		{documents, "docker compose run --rm kafka-init", "docker compose run kafka-init", "none shows docker compose run --rm kafka-init"},
		{documents, "http://localhost:28080", "http://localhost:28081", "nothing listens on localhost:28081"},
		{documents, "8082", "8092", "none names port 8082"},
		{documents, "75", "60", "states [stop_grace_period 75 45]"},
		{documents, "80", "70", "states [terminationGracePeriodSeconds 50 80]"},
		{documents, "12", "24", "states [pods 2 6 12]"},
		{documents, "--target tools", "--target tool", "no target tool"},
		{documents, "kubectl apply -k deploy/kubernetes/example", "kubectl apply -k deploy/kubernetes/overlay", "deploy/kubernetes/overlay"},
		{documents, "--from-file=smtp-password", "--from-file=smtp_password", "keys of secret email-provider"},
	}
}

// plant makes the edit.
func (m mistake) plant(t *testing.T, r tree) {
	t.Helper()
	pages, count := map[string]string{m.file: ""}, 1
	if m.file == documents {
		pages, count = r.documents(t), -1
	}
	found := false
	for file := range pages {
		text := r.read(t, file)
		found = found || strings.Contains(text, m.old)
		if err := os.WriteFile(r.path(file), []byte(strings.Replace(text, m.old, m.wrong, count)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("%q is not in %s any more", m.old, m.file)
	}
}

// Each of these mistakes is reported, by its name.
func TestPlantedMistakes(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes() {
		t.Run(m.file+": "+m.report, func(t *testing.T) {
			t.Parallel()
			r := newTree(t)
			m.plant(t, r)
			if m.file == ".env.example" {
				_ = os.WriteFile(r.path(".env"), []byte(r.read(t, ".env.example")), 0o600)
			}
			var f faults
			manifest := strings.HasPrefix(m.file, "deploy/kubernetes/")
			if manifest || m.file == documents { // they speak of both
				checkDocuments(t, &f, r, nil, nil, checkKubernetes(t, &f, r))
			}
			if !manifest {
				checkContainers(t, &f, r)
			}
			reports := strings.Join(f, "\n")
			if !strings.Contains(reports, m.report) {
				t.Errorf("%q for %q: reported is\n%s\nwant one with %q", m.wrong, m.old, reports, m.report)
			}
		})
	}
}
