package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

// authority signs certificates for one test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	File string // its certificate
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir, File: filepath.Join(dir, name+".pem")}
	var der []byte
	a.key, der = a.sign(name, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write(a.File, pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// sign makes a key and a certificate of it, by itself where parent is nil.
func (a *authority) sign(name string, parent *authority) (*ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: parent == nil,
	}
	by, byKey := c, key
	if parent != nil {
		by, byKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, der
}

func (a *authority) write(path string, blocks ...pem.Block) {
	a.t.Helper()
	var data []byte
	for i := range blocks {
		data = append(data, pem.EncodeToMemory(&blocks[i])...)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue writes a certificate, its key, and both in one file as Kafka wants
// them.
func (a *authority) issue(name string) (cert, key, both string) {
	a.t.Helper()
	private, der := a.sign(name, a)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	c, k := pem.Block{Type: "CERTIFICATE", Bytes: der}, pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}
	cert, key, both = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key"), filepath.Join(a.dir, name+".pem")
	a.write(cert, c)
	a.write(key, k)
	a.write(both, k, c)
	return cert, key, both
}

// secured is a cluster that lets in by every means, and a worker only to what
// it needs.
type secured struct {
	*kafka.Cluster

	dir          string
	ca           *authority
	cert, key    string // of User:CN=worker
	passwordFile string
	tokenFile    string
}

const kafkaPassword = "kafka-secret"

func startSecured(t *testing.T) *secured {
	t.Helper()
	s := &secured{dir: t.TempDir()}
	s.ca = newAuthority(t, s.dir, "ca")
	_, _, broker := s.ca.issue("broker")
	s.cert, s.key, _ = s.ca.issue("worker")
	s.passwordFile, s.tokenFile = filepath.Join(s.dir, "password"), filepath.Join(s.dir, "token")
	put(t, s.passwordFile, kafkaPassword+"\n")
	put(t, s.tokenFile, token("worker", time.Now().Add(time.Hour)))
	login := "org.apache.kafka.common.security."
	plain := login + `plain.PlainLoginModule required user_worker="` + kafkaPassword + `";`
	properties := map[string]string{
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MTLS:SSL,SASLPLAIN:SASL_PLAINTEXT,SASLTLS:SASL_SSL",
		"ssl.keystore.type":              "PEM", "ssl.keystore.location": broker,
		"ssl.truststore.type": "PEM", "ssl.truststore.location": s.ca.File,
		"listener.name.mtls.ssl.client.auth":                   "required",
		"listener.name.saslplain.sasl.enabled.mechanisms":      "PLAIN",
		"listener.name.saslplain.plain.sasl.jaas.config":       plain,
		"listener.name.sasltls.sasl.enabled.mechanisms":        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"listener.name.sasltls.plain.sasl.jaas.config":         plain,
		"listener.name.sasltls.scram-sha-256.sasl.jaas.config": login + "scram.ScramLoginModule required;",
		"listener.name.sasltls.scram-sha-512.sasl.jaas.config": login + "scram.ScramLoginModule required;",
		"listener.name.sasltls.oauthbearer.sasl.jaas.config":   login + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
		"authorizer.class.name":                                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                                          "User:ANONYMOUS",
	}
	s.Cluster = kafka.Start(t, kafka.Options{Listeners: []string{"MTLS", "SASLPLAIN", "SASLTLS"}, Properties: properties})
	return s
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// token is an unsecured JSON web token, which Kafka takes by default.
func token(subject string, until time.Time) string {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return part(map[string]string{"alg": "none"}) + "." + part(map[string]any{"sub": subject, "iat": time.Now().Unix(), "exp": until.Unix()}) + "."
}

// allow grants a principal what docs/operations.md says that a worker needs.
func allow(t *testing.T, s *stage.Stage, principal string) {
	t.Helper()
	grants := []struct {
		topic string
		ops   []kadm.ACLOperation
	}{
		{s.Topic("request"), []kadm.ACLOperation{kadm.OpRead, kadm.OpDescribeConfigs}},
		{s.Topic("status"), []kadm.ACLOperation{kadm.OpRead, kadm.OpWrite, kadm.OpDescribeConfigs}},
		{s.Topic("dlq"), []kadm.ACLOperation{kadm.OpWrite}},
	}
	for _, g := range grants {
		acl(t, s, kadm.NewACLs().Allow(principal).AllowHosts().Topics(g.topic).Operations(g.ops...))
	}
	acl(t, s, kadm.NewACLs().Allow(principal).AllowHosts().Groups(s.Group()).Operations(kadm.OpRead))
}

func acl(t *testing.T, s *stage.Stage, b *kadm.ACLBuilder) {
	t.Helper()
	results, err := s.Admin.CreateACLs(s.Ctx, b.ResourcePatternType(kadm.ACLPatternLiteral))
	for _, r := range results {
		if err == nil {
			err = r.Err
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	stage.Eventually(t, func() string { // the controller has them, and the broker a moment later
		inForce, err := s.Admin.DescribeACLs(s.Ctx, b)
		if err != nil {
			return err.Error()
		}
		if slices.ContainsFunc(inForce, func(r kadm.DescribeACLsResult) bool { return len(r.Described) == 0 }) {
			return "the broker does not know of every permission yet"
		}
		return ""
	})
}

// Every way in that Kafka knows, with no more permissions than a worker needs.
func TestKafkaSecurity(t *testing.T) {
	t.Parallel()
	c := startSecured(t)
	tls := map[string]string{"KAFKA_TLS_CA_FILE": c.ca.File}
	with := func(base map[string]string, pairs ...string) map[string]string {
		all := map[string]string{}
		maps.Copy(all, base)
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = pairs[i+1]
		}
		return all
	}
	password := []string{"KAFKA_SASL_USERNAME", "worker", "KAFKA_SASL_PASSWORD_FILE", c.passwordFile}
	sasl := func(base map[string]string, protocol, mechanism string) map[string]string {
		return with(with(base, password...), "KAFKA_SECURITY_PROTOCOL", protocol, "KAFKA_SASL_MECHANISM", mechanism)
	}
	tests := []struct {
		name, listener, principal string
		settings                  map[string]string
	}{
		{"mutual TLS", "MTLS", "User:CN=worker", with(tls, "KAFKA_SECURITY_PROTOCOL", "SSL", "KAFKA_TLS_CERT_FILE", c.cert, "KAFKA_TLS_KEY_FILE", c.key)},
		{"PLAIN", "SASLPLAIN", "User:worker", sasl(nil, "SASL_PLAINTEXT", "PLAIN")},
		{"PLAIN over TLS", "SASLTLS", "User:worker", sasl(tls, "SASL_SSL", "PLAIN")},
		{"SCRAM-SHA-256", "SASLTLS", "User:worker", sasl(tls, "SASL_SSL", "SCRAM-SHA-256")},
		{"SCRAM-SHA-512", "SASLTLS", "User:worker", sasl(tls, "SASL_SSL", "SCRAM-SHA-512")},
		{"OAUTHBEARER", "SASLTLS", "User:worker", with(tls, "KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "KAFKA_SASL_MECHANISM", "OAUTHBEARER", "KAFKA_SASL_TOKEN_FILE", c.tokenFile)},
	}
	once := stage.New(t, models.SMS, stage.Options{Brokers: c.Brokers(), NoTopics: true})
	for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		user := kadm.UpsertSCRAM{User: "worker", Mechanism: m, Iterations: 4096, Password: kafkaPassword}
		if altered, err := once.Admin.AlterUserSCRAMs(once.Ctx, nil, []kadm.UpsertSCRAM{user}); err != nil || !altered.Ok() {
			t.Fatalf("create the user: %v %+v", err, altered)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := stage.New(t, models.SMS, stage.Options{Brokers: c.Brokers(), Partitions: 2})
			allow(t, s, tt.principal)
			tt.settings["KAFKA_BROKERS"] = c.Listener(tt.listener)
			w := s.Work(tt.settings)
			w.WaitReady(http.StatusOK)
			ids := s.PutMany(20)
			bad := stage.NewID()
			s.Put(bad, []byte("{}"))
			for id, events := range s.Events(len(ids) + 1) {
				if got := stage.Sequence(events); ids[id] && got != "queued 0, attempt 1, sent 1" {
					t.Errorf("%s: %s", id, got)
				}
			}
			s.Committed()
			w.Stop()
			for line := range strings.Lines(w.Logs()) {
				if strings.Contains(line, `"level":"warn"`) && !strings.Contains(line, "not joined") && !strings.Contains(line, `"failed"`) || strings.Contains(line, kafkaPassword) {
					t.Errorf("the log complains: %s", line)
				}
			}
		})
	}

	// Readiness names what is wrong; no message is lost; it heals by itself.
	broken := map[string]struct {
		settings map[string]string
		reason   string
		spoil    func(t *testing.T, s *stage.Stage, settings map[string]string)
		mend     func(t *testing.T, s *stage.Stage)
	}{
		"wrong password": {
			sasl(tls, "SASL_SSL", "SCRAM-SHA-512"), "SASL_AUTHENTICATION_FAILED",
			func(t *testing.T, _ *stage.Stage, _ map[string]string) { t.Helper(); put(t, c.passwordFile, "wrong") },
			func(t *testing.T, _ *stage.Stage) { t.Helper(); put(t, c.passwordFile, kafkaPassword) },
		},
		"wrong CA": {
			sasl(tls, "SASL_SSL", "PLAIN"), "certificate",
			func(t *testing.T, s *stage.Stage, settings map[string]string) {
				t.Helper()
				path := filepath.Join(c.dir, s.Name+".pem")
				put(t, path, read(t, newAuthority(t, c.dir, "other").File))
				settings["KAFKA_TLS_CA_FILE"] = path
			},
			func(t *testing.T, s *stage.Stage) {
				t.Helper()
				put(t, filepath.Join(c.dir, s.Name+".pem"), read(t, c.ca.File))
			},
		},
		"expired token": {
			with(tls, "KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "KAFKA_SASL_MECHANISM", "OAUTHBEARER", "KAFKA_SASL_TOKEN_FILE", c.tokenFile), "oauth",
			func(t *testing.T, _ *stage.Stage, _ map[string]string) {
				t.Helper()
				put(t, c.tokenFile, token("worker", time.Now().Add(-time.Hour)))
			},
			func(t *testing.T, _ *stage.Stage) {
				t.Helper()
				put(t, c.tokenFile, token("worker", time.Now().Add(time.Hour)))
			},
		},
		"may not join the group": forbidden(sasl(tls, "SASL_SSL", "PLAIN"), "GROUP_AUTHORIZATION_FAILED", func(s *stage.Stage) (kmsg.ACLResourceType, string, kadm.ACLOperation) {
			return kmsg.ACLResourceTypeGroup, s.Group(), kadm.OpRead
		}),
		"may not read requests": forbidden(sasl(tls, "SASL_SSL", "PLAIN"), "TOPIC_AUTHORIZATION_FAILED", func(s *stage.Stage) (kmsg.ACLResourceType, string, kadm.ACLOperation) {
			return kmsg.ACLResourceTypeTopic, s.Topic("request"), kadm.OpRead
		}),
		"may not read the journal": forbidden(sasl(tls, "SASL_SSL", "PLAIN"), "no permission to Read", func(s *stage.Stage) (kmsg.ACLResourceType, string, kadm.ACLOperation) {
			return kmsg.ACLResourceTypeTopic, s.Topic("status"), kadm.OpRead
		}),
		"may not write events": forbidden(sasl(tls, "SASL_SSL", "PLAIN"), "no permission to Write", func(s *stage.Stage) (kmsg.ACLResourceType, string, kadm.ACLOperation) {
			return kmsg.ACLResourceTypeTopic, s.Topic("status"), kadm.OpWrite
		}),
		"may not read orders": {
			sasl(tls, "SASL_SSL", "PLAIN"), `"control":{"status":"unavailable"`,
			func(t *testing.T, s *stage.Stage, settings map[string]string) {
				t.Helper()
				settings["KAFKA_CONTROL_TOPIC"] = newOperator(t, s).topic
			},
			func(t *testing.T, s *stage.Stage) {
				t.Helper()
				acl(t, s, kadm.NewACLs().Allow("User:worker").AllowHosts().Topics(s.Topic("control")).Operations(kadm.OpRead))
			},
		},
		"may not write dead letters": forbidden(sasl(tls, "SASL_SSL", "PLAIN"), "TOPIC_AUTHORIZATION_FAILED", func(s *stage.Stage) (kmsg.ACLResourceType, string, kadm.ACLOperation) {
			return kmsg.ACLResourceTypeTopic, s.Topic("dlq"), kadm.OpWrite
		}),
	}
	for name, tt := range broken {
		t.Run(name, func(t *testing.T) {
			s := stage.New(t, models.SMS, stage.Options{Brokers: c.Brokers(), Partitions: 2})
			allow(t, s, "User:worker")
			settings := maps.Clone(tt.settings)
			settings["KAFKA_BROKERS"], settings["LOG_LEVEL"] = c.Listener("SASLTLS"), "info"
			tt.spoil(t, s, settings)
			id, bad := stage.NewID(), stage.NewID()
			s.Put(id, stage.Request(s.Channel, id, nil))
			s.Put(bad, []byte("{}"))
			w := s.Work(settings)
			stage.Eventually(t, func() string {
				code, body := w.Get("/healthz/ready")
				if code != http.StatusServiceUnavailable || !strings.Contains(body, tt.reason) {
					return fmt.Sprintf("ready is %d %s, want 503 with %s", code, body, tt.reason)
				}
				return ""
			})
			if code, body := w.Get("/healthz/live"); code != http.StatusOK {
				t.Errorf("live is %d %s", code, body)
			}
			tt.mend(t, s)
			w.WaitReady(http.StatusOK)
			stage.CheckSequence(t, "the message", s.Events(2)[id], "queued 0, attempt 1, sent 1")
			s.Committed()
			if !w.Running() || strings.Contains(w.Logs(), kafkaPassword) {
				t.Error("the worker has ended, or its log holds the password")
			}
		})
	}
}

// forbidden is a permission that is missing until it is granted.
func forbidden(settings map[string]string, reason string, which func(*stage.Stage) (kmsg.ACLResourceType, string, kadm.ACLOperation)) struct {
	settings map[string]string
	reason   string
	spoil    func(t *testing.T, s *stage.Stage, settings map[string]string)
	mend     func(t *testing.T, s *stage.Stage)
} {
	build := func(s *stage.Stage) *kadm.ACLBuilder {
		kind, name, op := which(s)
		b := kadm.NewACLs().Allow("User:worker").AllowHosts().Operations(op).ResourcePatternType(kadm.ACLPatternLiteral)
		if kind == kmsg.ACLResourceTypeGroup {
			return b.Groups(name)
		}
		return b.Topics(name)
	}
	return struct {
		settings map[string]string
		reason   string
		spoil    func(t *testing.T, s *stage.Stage, settings map[string]string)
		mend     func(t *testing.T, s *stage.Stage)
	}{
		settings, reason,
		func(t *testing.T, s *stage.Stage, _ map[string]string) {
			t.Helper()
			if _, err := s.Admin.DeleteACLs(s.Ctx, build(s)); err != nil {
				t.Fatal(err)
			}
		},
		func(t *testing.T, s *stage.Stage) { t.Helper(); acl(t, s, build(s)) },
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
