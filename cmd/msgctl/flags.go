package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

// channelFlag adds --channel, which names one channel.
func channelFlag(cmd *cobra.Command, dst *string, fallback string) {
	cmd.Flags().StringVarP(dst, "channel", "c", fallback, strings.Join(channelNames(), ", "))
	complete(cmd, "channel", channelNames())
}

// destination is the topic that requests go to: that of a channel's lane, or
// another one.
type destination struct{ lane, topic string }

// bind adds --lane and --topic.
func (d *destination) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.lane, "lane", string(models.LaneNormal), "request topic of this lane: high, normal, bulk")
	complete(cmd, "lane", laneNames())
	cmd.Flags().StringVar(&d.topic, "topic", "", "request topic, instead of the channel's settings")
}

// valid refuses what no channel can have.
func (d *destination) valid() error {
	if d.topic != "" && d.lane != string(models.LaneNormal) {
		return usageError{errors.New("give one of --lane and --topic")}
	}
	return knownLane(d.lane)
}

// settings returns those of the channel's lane, with the destination as their
// request topic.
func (d *destination) settings(s *session, channel string) (*config.Config, error) {
	if err := d.valid(); err != nil {
		return nil, err
	}
	c, err := s.settings(channel)
	if err != nil {
		return nil, err
	}
	if c, err = ops.LaneOf(c, models.Lane(d.lane)); err != nil {
		return nil, err
	}
	c.Kafka.RequestTopic = cmp.Or(d.topic, c.Kafka.RequestTopic)
	return c, nil
}

// complete offers the values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // the flag is there: the caller made it
}

// pairs is a flag of key=value that may be repeated. Unlike pflag's own, it
// takes a value as it is, commas too. Prefix is put before each key.
type pairs struct {
	dst    *map[string]string
	prefix string
	kind   string // what the help calls the flag's value
}

func (p pairs) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return fmt.Errorf("%q is not %s", text, p.kind)
	}
	if *p.dst == nil {
		*p.dst = map[string]string{}
	}
	(*p.dst)[p.prefix+key] = value
	return nil
}

func (p pairs) Type() string { return p.kind }

func (p pairs) String() string { return "" }
