package config

import (
	"slices"
	"strconv"
	"strings"
)

// Value is a setting in force.
type Value struct {
	Section  string `json:"section"`
	Name     string `json:"name"`
	Value    string `json:"value"`             // as it was given; "(hidden)" where it is secret, "(invalid)" where it does not parse
	From     string `json:"from"`              // "environment", a file's path, "default", or empty: it has no value
	Variable string `json:"variable,omitzero"` // that set it, where that is not Name: an override for the channel, or NAME_FILE
}

// Set reports whether somebody set it.
func (v *Value) Set() bool { return v.From != "" && v.From != byDefault }

// byDefault is the origin of a default.
const byDefault = "default"

// InForce lists the settings that a worker of channel would run with, right or
// wrong, in the order of the table, without those of other channels alone. It
// shows no secret. A setting for one lane stands behind that for all lanes, as
// HIGH_NAME or BULK_NAME, where it is set.
func InForce(origin Origin, channel string) []Value {
	l := &loader{lookup: origin.Lookup, config: &Config{Channel: channel}}
	loaded, err := Load(origin.Lookup, channel)
	if err != nil {
		loaded, _ = LoadTool(origin.Lookup, channel) // nil where that is wrong too
	}
	var list []Value
	for _, row := range table(l.config) {
		if row.fixed && ofAnother(row.name, channel) {
			continue
		}
		v := l.inForce(origin, row)
		if v.From == "" {
			v.Value, v.From = computed(row.name, channel, loaded)
		}
		list = append(list, v)
		for _, lane := range []string{high, bulk} {
			if v := l.inForce(origin, row.of(lane)); row.perLane && v.From != "" {
				list = append(list, v)
			}
		}
	}
	return list
}

// ofAnother reports whether a fixed name is that of another channel.
func ofAnother(name, channel string) bool {
	return slices.ContainsFunc(channelNames(), func(upper string) bool {
		return !strings.EqualFold(upper, channel) && strings.HasPrefix(strings.TrimPrefix(name, "KAFKA_"), upper+"_")
	})
}

// inForce finds the variable that sets a row.
func (l *loader) inForce(origin Origin, row setting) Value {
	v := Value{Section: row.section, Name: row.name}
	for _, name := range row.variables(l.config.Channel) {
		if value, ok := l.get(name); ok {
			v.Value = shown(row, value)
			if _, v.From = origin(name); name != row.name {
				v.Variable = name
			}
			return v
		}
		if path, ok := l.get(name + "_FILE"); ok && row.secret != nil {
			v.Value, v.Variable = "(in the file "+path+")", name+"_FILE"
			_, v.From = origin(v.Variable)
			return v
		}
	}
	if row.fallback != "" {
		v.Value, v.From = row.fallback, byDefault
	}
	return v
}

// shown is a value as it may be shown. What does not parse may be anything, a
// URL with a password in it too; so may be the query of one that does.
func shown(row setting, value string) string {
	if row.secret != nil {
		return "(hidden)"
	}
	if row.check(value) != nil {
		return "(invalid)"
	}
	if before, _, query := strings.Cut(value, "?"); query && strings.Contains(before, "://") {
		return before + "?(hidden)"
	}
	return strings.ToValidUTF8(value, "\uFFFD") // JSON takes nothing else
}

// computed is the default of a setting whose default depends on others.
func computed(name, channel string, c *Config) (value, from string) {
	switch {
	case name == "KAFKA_CLIENT_ID":
		return channel + "-worker", byDefault
	case name == "SHUTDOWN_TIMEOUT_SECONDS" && c != nil:
		return strconv.FormatFloat(c.ShutdownTimeout.Seconds(), 'f', -1, 64), byDefault
	case name == "HIGH_RESERVED_SLOTS" && c != nil && !c.high.given: // a tool's lane has a name and is none of a worker's
		return "0", byDefault
	case name == "HIGH_RESERVED_SLOTS" && c != nil:
		return strconv.Itoa(c.Worker.ReservedSlots), byDefault
	}
	return "", ""
}
