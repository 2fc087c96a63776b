package cluster

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/ops"
)

// connectAdvice says what to do about a connection that cannot be made.
func connectAdvice(err error, k *config.Kafka) Advice {
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return Advice{Text: "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD (or its file) and KAFKA_SASL_MECHANISM with who runs the brokers"}
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return Advice{Text: "the brokers do not offer KAFKA_SASL_MECHANISM=" + k.SASLMechanism + ": take one that they do"}
	case errors.Is(err, kerr.IllegalSaslState):
		return Advice{Text: "the port wants no credentials, or other ones: check KAFKA_SECURITY_PROTOCOL"}
	case badCertificate:
		return Advice{Text: "set KAFKA_TLS_CA_FILE to the CA that signed the brokers' certificates, and use the host names that are in them"}
	case noTLS:
		return Advice{Text: "the port does not speak TLS: check KAFKA_SECURITY_PROTOCOL and the port"}
	case alert:
		return Advice{Text: "the brokers refuse the client's certificate: check KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE"}
	case errors.Is(err, io.EOF), errors.Is(err, context.DeadlineExceeded):
		return Advice{Text: "something listens there and does not speak Kafka as expected: check the port, and whether it wants TLS or SASL (KAFKA_SECURITY_PROTOCOL)"}
	}
	return Advice{Action: SetBrokers, Text: "is Kafka running there?"}
}

// everyBroker asks each broker under the address that it gives out: workers
// are sent there, whatever address they begin with.
func (c *checker) everyBroker(ctx context.Context) Finding {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	meta, err := c.admin.BrokerMetadata(ctx)
	if err != nil {
		return finding(Fail, "the list of brokers cannot be read: "+err.Error(), Advice{Text: seeLogs})
	}
	c.brokers = len(meta.Brokers)
	answers := make([]error, len(meta.Brokers))
	var wg sync.WaitGroup
	for i, b := range meta.Brokers {
		wg.Go(func() { _, answers[i] = c.client.Broker(int(b.NodeID)).Request(ctx, kmsg.NewPtrApiVersionsRequest()) })
	}
	wg.Wait()
	var w worst
	for i, b := range meta.Brokers {
		if err := answers[i]; err != nil {
			w.add(
				Fail, fmt.Sprintf("broker %d at %s:%d does not answer: %v", b.NodeID, b.Host, b.Port, err),
				"brokers give their own addresses out: set advertised.listeners to ones that can be reached from here",
			)
		}
	}
	return w.orOK(plural(c.brokers, "broker") + " can be reached")
}

// roundTrip writes a record and reads it back.
func (c *checker) roundTrip(ctx context.Context) Finding {
	name := c.cluster.Kafka.TempTopic
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	found, err := describeTopics(ctx, c.client, name)
	if err != nil {
		return finding(Fail, err.Error(), Advice{Text: seeLogs})
	}
	if t := found[name]; t.missing() {
		seen := fmt.Sprintf("topic %s (KAFKA_TEMP_TOPIC) does not exist", name)
		return finding(Fail, seen, Advice{Action: InitTopics, Text: "creates it"})
	}
	denied, err := kafka.MissingTopics(ctx, c.client, kafka.Need{Topic: name, Read: true, Write: true})
	if err == nil && len(denied) > 0 {
		advice := "workers need no permission there; to try it, grant Read and Write on " + name + " to who runs this check"
		return finding(Warn, "not tried: no permission to Read or Write topic "+name+" (ACL)", Advice{Text: advice})
	}
	return c.exchange(ctx, name)
}

func (c *checker) exchange(ctx context.Context, name string) Finding {
	begin := time.Now()
	sent := &kgo.Record{Topic: name, Key: []byte("msgctl check"), Value: []byte(rand.Text())}
	client, err := ops.Connect(ctx, c.cluster, kgo.RecordRetries(3))
	if err == nil {
		defer client.Close()
		err = client.ProduceSync(ctx, sent).FirstErr()
	}
	if err != nil {
		advice := Advice{Text: seeLogs}
		switch {
		case errors.Is(err, kerr.NotEnoughReplicas):
			advice.Text = "fewer replicas are in sync than min.insync.replicas: bring the brokers back that are away"
		case errors.Is(err, kerr.MessageTooLarge):
			advice = Advice{Action: InitTopics, Text: raisesBytes}
		}
		return finding(Fail, fmt.Sprintf("topic %s takes no record: %v", name, err), advice)
	}
	written := took(begin)
	if err := readBack(ctx, client, sent); err != nil {
		return finding(Fail, fmt.Sprintf("a record written to %s does not come back: %v", name, err), Advice{Text: seeLogs})
	}
	return finding(OK, fmt.Sprintf("a record written to %s in %s came back %s after it was sent", name, written, took(begin)))
}

func readBack(ctx context.Context, client *kgo.Client, r *kgo.Record) error {
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.Topic: {r.Partition: kgo.NewOffset().At(r.Offset)}})
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err //nolint:wrapcheck // the finding names the topic
		}
		for _, got := range fetches.Records() {
			if string(got.Value) == string(r.Value) {
				return nil
			}
		}
	}
}
