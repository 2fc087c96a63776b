package kafka

import "messaging-worker/internal/config"

// FromSettings returns the client options that the settings ask for. Name is
// the client id where the settings have none.
func FromSettings(k *config.Kafka, name string) Options {
	o := Options{Brokers: k.Brokers, ClientID: k.ClientID, Compression: k.Compression}
	if o.ClientID == "" {
		o.ClientID = name
	}
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
