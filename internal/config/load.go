package config

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Lookup returns a variable's value and whether it is set.
type Lookup func(name string) (string, bool)

// Load reads the settings of a worker of channel (email, sms or whatsapp). A
// variable that is set to nothing, or to white space, counts as not set. The
// error is an *Error that names everything that is wrong.
func Load(lookup Lookup, channel string) (*Config, error) {
	return load(&loader{lookup: lookup}, channel)
}

// LoadTool reads the same settings for a tool that looks at one channel from
// outside. It differs from Load in what may be missing: a provider needs no
// credentials; topics and group fall back to messages.CHANNEL.request, .status,
// .dlq, .request.high, .request.bulk, messages.control and CHANNEL-workers. So
// all lanes have a topic here, but for one whose name some other topic was given.
func LoadTool(lookup Lookup, channel string) (*Config, error) {
	return load(&loader{lookup: lookup, tool: true}, channel)
}

// LoadLimits reads the limits of a channel's requests and nothing else, for a
// tool that checks requests without a broker. All other settings are zero.
func LoadLimits(lookup Lookup, channel string) (*Config, error) {
	l := &loader{lookup: lookup}
	if err := l.begin(channel); err != nil {
		return nil, err
	}
	for _, row := range limitRows(l.config) {
		l.read(row)
	}
	return l.end()
}

func load(l *loader, channel string) (*Config, error) {
	if err := l.begin(channel); err != nil {
		return nil, err
	}
	l.config.ShutdownTimeout, l.config.Worker.ReservedSlots = -1, -1
	for _, row := range table(l.config) {
		l.read(row)
	}
	l.readLanes()
	l.check()
	return l.end()
}

type loader struct {
	lookup   Lookup
	tool     bool // looks on from outside and delivers nothing
	config   *Config
	problems []string
}

// begin makes the config of a known channel.
func (l *loader) begin(channel string) error {
	if !slices.Contains(channelNames(), strings.ToUpper(channel)) {
		return &Error{Problems: []string{fmt.Sprintf("channel %q: want email, sms or whatsapp", channel)}}
	}
	l.config = &Config{Channel: channel, Lane: "normal"}
	return nil
}

// end returns the config, or all that is wrong with it.
func (l *loader) end() (*Config, error) {
	if len(l.problems) > 0 {
		return nil, &Error{Problems: l.problems}
	}
	return l.config, nil
}

func (l *loader) problem(name, format string, args ...any) {
	l.problems = append(l.problems, name+": "+fmt.Sprintf(format, args...))
}

// get returns the value of a variable, false where it is not set.
func (l *loader) get(name string) (string, bool) {
	value, ok := l.lookup(name)
	value = strings.TrimSpace(value)
	return value, ok && value != ""
}

func (l *loader) read(row setting) {
	if row.secret != nil {
		l.readSecret(row)
		return
	}
	if name, value := l.given(row); name != "" {
		if err := row.check(value); err != nil {
			l.problem(name, "%v", err)
		}
		return
	}
	fallback := row.fallback
	if l.tool {
		fallback = cmp.Or(fallback, row.toolName)
	}
	switch {
	case fallback != "":
		if err := row.parse(fallback); err != nil {
			l.problem(row.name, "default: %v", err)
		}
	case row.required:
		l.problem(row.name, "is required")
	}
}

// given returns the variable that sets a row, and its value; no name where none
// does.
func (l *loader) given(row setting) (name, value string) {
	for _, name := range row.variables(l.config.Channel) {
		if value, ok := l.get(name); ok {
			return name, value
		}
	}
	return "", ""
}

// wrong reports whether one of the settings has a problem already, so that its
// value is none to compare with.
func (l *loader) wrong(settings ...string) bool {
	return slices.ContainsFunc(l.problems, func(problem string) bool {
		name, _, _ := strings.Cut(problem, ": ")
		return slices.Contains(settings, strings.TrimPrefix(name, strings.ToUpper(l.config.Channel)+"_"))
	})
}

func (l *loader) readSecret(row setting) {
	found := false
	for _, name := range row.variables(l.config.Channel) {
		value, direct := l.get(name)
		path, inFile := l.get(name + "_FILE")
		switch {
		case direct && inFile: // a mistake also where an override hides it
			*row.secret = Secret{value: value} // so that nothing else complains of it
			l.problem(name, "is set, and %s_FILE too: give one of them", name)
		case found:
			continue
		case direct:
			*row.secret = Secret{value: value}
			l.checkSecret(name, value)
		case inFile:
			*row.secret = Secret{file: path}
			if s, err := row.secret.Get(); err != nil {
				l.problem(name+"_FILE", "%v", err)
			} else if s == "" {
				l.problem(name+"_FILE", "the file is empty")
			}
		}
		found = found || direct || inFile
	}
}

// need reports a setting that another setting makes necessary.
func (l *loader) need(missing bool, name, why string) {
	if missing {
		l.problem(name, "is required %s", why)
	}
}

// check holds the rules that span several settings.
func (l *loader) check() {
	c := l.config
	if c.Worker.BaseBackoff > c.Worker.MaxBackoff && !l.wrong(baseBackoff, maxBackoff) {
		l.problem("BASE_BACKOFF_SECONDS", "is above MAX_BACKOFF_SECONDS")
	}
	if c.ShutdownTimeout < 0 { // not set: 0 is a drain without time
		c.ShutdownTimeout = c.LongestCall() + 5*time.Second
	}
	l.checkTopics()
	l.checkSlots()
	l.checkKafka(&c.Kafka)
	if c.OTel.On() && c.OTel.Protocol != "http/protobuf" { // set for all pods, it need not be for us
		l.problem("OTEL_EXPORTER_OTLP_PROTOCOL", "want http/protobuf")
	}
	if l.tool {
		return
	}
	if p := c.provider(); p.check != nil {
		p.check(l)
	}
}

func (l *loader) checkKafka(k *Kafka) {
	if (k.TLSCertFile == "") != (k.TLSKeyFile == "") {
		l.problem("KAFKA_TLS_CERT_FILE", "and KAFKA_TLS_KEY_FILE belong together: give both or none")
	}
	if k.TLSCertFile != "" && k.TLSKeyFile != "" {
		if _, err := tls.LoadX509KeyPair(k.TLSCertFile, k.TLSKeyFile); err != nil {
			l.problem("KAFKA_TLS_KEY_FILE", "is no PEM key for the certificate of KAFKA_TLS_CERT_FILE")
		}
	}
	if !k.SASL() {
		return
	}
	why := "with KAFKA_SECURITY_PROTOCOL=" + k.SecurityProtocol
	l.need(k.SASLMechanism == "", "KAFKA_SASL_MECHANISM", why)
	if k.SASLMechanism == "OAUTHBEARER" {
		l.need(k.SASLTokenFile == "", "KAFKA_SASL_TOKEN_FILE", "with KAFKA_SASL_MECHANISM=OAUTHBEARER")
		return
	}
	l.need(k.SASLUsername == "", "KAFKA_SASL_USERNAME", why)
	l.need(!k.SASLPassword.IsSet(), "KAFKA_SASL_PASSWORD", why)
}
