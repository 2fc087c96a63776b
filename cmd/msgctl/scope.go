package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/control"
)

// word is a flag with one text that is not blank, given at most once. An order
// with a part of its scope left empty, or overwritten, would be about other
// messages than was meant.
type word struct {
	dst  *string
	kind string   // what the help calls the flag's value
	want []string // the values that it may have; nil: any
}

func (w word) Set(text string) error {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return errors.New("is empty")
	case *w.dst != "":
		return errors.New("is given twice")
	case !utf8.ValidString(text):
		return errors.New("is not UTF-8")
	case w.want != nil && !slices.Contains(w.want, text):
		return fmt.Errorf("want one of %s", strings.Join(w.want, ", "))
	}
	*w.dst = text
	return nil
}

func (w word) Type() string { return w.kind }

func (w word) String() string { return "" }

// scopeFlags say which messages an order is about.
type scopeFlags struct {
	id string // of one message; an argument

	channel, lane, tenant, provider, meta string
}

// bind adds those flags of the scope that a command has.
func (f *scopeFlags) bind(cmd *cobra.Command, names ...string) {
	for _, flag := range []struct {
		name, kind string
		dst        *string
		want       []string
		usage      string
	}{
		{"channel", "string", &f.channel, channelNames(), "email, sms or whatsapp"},
		{"lane", "string", &f.lane, laneNames(), "only what came by this request topic: high, normal or bulk"},
		{"tenant", "string", &f.tenant, nil, "only this tenant's messages"},
		{"provider", "string", &f.provider, nil, "only calls of this provider"},
		{"meta", "key=value", &f.meta, nil, "only messages with this entry of meta"},
	} {
		if !slices.Contains(names, flag.name) {
			continue
		}
		cmd.Flags().Var(word{flag.dst, flag.kind, flag.want}, flag.name, flag.usage)
		if flag.want != nil {
			complete(cmd, flag.name, flag.want)
		}
	}
}

// message takes the argument of a command that may be about one message.
func (f *scopeFlags) message(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if f.id = strings.TrimSpace(args[0]); f.id == "" {
		return usageError{errors.New("MESSAGE_ID is empty")}
	}
	return nil
}

// order returns an order of that kind for the scope.
func (f *scopeFlags) order(action models.Action) (*models.Order, error) {
	o := &models.Order{
		Action: action, MessageID: f.id, Channel: models.Channel(f.channel), Lane: models.Lane(f.lane), Tenant: f.tenant, Provider: f.provider,
	}
	if f.meta != "" {
		key, value, ok := strings.Cut(f.meta, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, usageError{fmt.Errorf("--meta %q: want KEY=VALUE", f.meta)}
		}
		o.Meta = map[string]string{key: strings.TrimSpace(value)}
	}
	known := config.ProviderNames(f.channel)
	switch {
	case f.id == "" && f.channel == "":
		return nil, usageError{errors.New("--channel is required: " + strings.Join(channelNames(), ", "))}
	case f.provider != "" && f.channel != "" && !slices.Contains(known, f.provider):
		return nil, usageError{fmt.Errorf("--provider %q: %s has %s", f.provider, f.channel, strings.Join(known, ", "))}
	}
	if err := control.CheckScope(o); err != nil {
		return nil, usageError{err}
	}
	return o, nil
}

// scopeArgs returns the arguments of msgctl resume that lift an order.
func scopeArgs(o *models.Order) string {
	args := []string{}
	if o.Action != models.ActionPause {
		args = append(args, "--"+string(o.Action))
	}
	for _, part := range [][2]string{
		{"", o.MessageID}, {"--channel ", string(o.Channel)}, {"--lane ", string(o.Lane)}, {"--tenant ", o.Tenant}, {"--provider ", o.Provider},
	} {
		if part[1] != "" {
			args = append(args, part[0]+quoted(part[1]))
		}
	}
	for key, value := range o.Meta { // one entry
		args = append(args, "--meta "+quoted(key+"="+value))
	}
	return strings.Join(args, " ")
}

// quoted writes a text as one word of a shell's command line.
func quoted(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@=+,%", r)
	}
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// laneNames lists the lanes as words for flags.
func laneNames() []string {
	var names []string
	for _, l := range models.Lanes() {
		names = append(names, string(l))
	}
	return names
}
