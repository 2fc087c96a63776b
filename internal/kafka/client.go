// Package kafka holds what all Kafka clients of a process share: how they
// connect, and what they ask the brokers about topics.
package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"messaging-worker/internal/config"
)

// Options tells every client how to reach Kafka. Brokers is required; a zero
// value elsewhere means plain text, no credentials and no compression.
type Options struct {
	Brokers     []string
	ClientID    string
	Compression string // none, gzip, snappy, lz4, zstd; empty means none
	TLS         *TLS   // nil means plain text
	SASL        *SASL  // nil means no credentials

	// Hooks watch the client that does the work, for metrics. A hook may belong
	// to one client alone, so Client leaves them out.
	Hooks []kgo.Hook
}

// FromSettings returns the client options that the settings ask for. Name is
// the client id where the settings have none.
func FromSettings(k *config.Kafka, name string) Options {
	o := Options{Brokers: k.Brokers, ClientID: cmp.Or(k.ClientID, name), Compression: k.Compression}
	if k.TLS() {
		o.TLS = &TLS{CAFile: k.TLSCAFile, CertFile: k.TLSCertFile, KeyFile: k.TLSKeyFile}
	}
	if k.SASL() {
		o.SASL = &SASL{
			Mechanism: k.SASLMechanism, Username: k.SASLUsername, Password: k.SASLPassword.Get,
			Token: config.SecretFile(k.SASLTokenFile).Get,
		}
	}
	return o
}

// TLS names the PEM files of an encrypted connection. CAFile empty means the
// system's roots; CertFile and KeyFile are the client's pair, or both empty.
type TLS struct {
	CAFile, CertFile, KeyFile string
}

// SASL holds credentials. Password and Token are asked at each connection, so
// that a rotated secret is taken up without a restart.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	Username  string
	Password  func() (string, error)
	Token     func() (string, error) // OAUTHBEARER alone
}

// Client returns the franz-go options that o stands for. An error names the
// file or the value that cannot be used.
func (o Options) Client(log zerolog.Logger) ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...),
		kgo.ClientID(o.ClientID),
		kgo.SoftwareNameAndVersion("messaging-worker", "1"),
		kgo.WithLogger(Logger(log)),
		// A topic that appears late must not wait for the usual five minutes.
		kgo.MetadataMaxAge(15 * time.Second),
		kgo.MetadataMinAge(time.Second),
		kgo.RetryBackoffFn(backoff),
	}
	if o.TLS != nil {
		if _, err := o.TLS.config(); err != nil {
			return nil, err
		}
		opts = append(opts, kgo.Dialer(o.TLS.dial))
	}
	if o.SASL != nil {
		mechanism, err := o.SASL.mechanism()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts, nil
}

// Codec returns the producer's compression, or an error for an unknown name.
func (o Options) Codec() (kgo.CompressionCodec, error) {
	switch strings.ToLower(o.Compression) {
	case "", "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.NoCompression(), fmt.Errorf("compression %q: want none, gzip, snappy, lz4 or zstd", o.Compression)
}

// backoff waits at most two seconds between tries, so that a broker that is
// back is found soon.
func backoff(fails int) time.Duration {
	return min(100*time.Millisecond<<min(fails, 5), 2*time.Second)
}

// dial connects with the files as they are now, so that renewed certificates
// are taken up without a restart.
func (t *TLS) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conf, err := t.config()
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: conf}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s over TLS: %w", address, err)
	}
	return conn, nil
}

// dialTimeout bounds a connection's beginning, handshake included.
const dialTimeout = 10 * time.Second

func (t *TLS) config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read Kafka CA: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read Kafka CA %s: no PEM certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read Kafka client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "PLAIN":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := s.Password()
			return plain.Auth{User: s.Username, Pass: pass}, err
		}), nil
	case "SCRAM-SHA-256":
		return scram.Sha256(s.scram), nil
	case "SCRAM-SHA-512":
		return scram.Sha512(s.scram), nil
	case "OAUTHBEARER":
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, err := s.Token()
			return oauth.Auth{Token: token}, err
		}), nil
	}
	return nil, fmt.Errorf("SASL mechanism %q: want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", s.Mechanism)
}

func (s *SASL) scram(context.Context) (scram.Auth, error) {
	pass, err := s.Password()
	return scram.Auth{User: s.Username, Pass: pass}, err
}
