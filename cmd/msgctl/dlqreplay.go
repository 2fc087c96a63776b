package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/patch"
)

// askAbove is how many letters are replayed without a question.
const askAbove = 100

// replayFlags are those of dlq replay beside the filters.
type replayFlags struct {
	dlqFlags

	channel string
	toLane  string
	sets    []string
	yes     bool
	options dlq.Options
}

func dlqReplay(s *session) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Put the requests of dead letters back on their topic",
		Long: `Put the requests of dead letters back on the topic of the lane that each came by,
or on that of --to-lane: the same message id, key and headers, in the partition
where each lay before. What came by a topic that is none of the channel's any
more goes to the lane normal.

- Where some recipients got the message, only those that did not are left in it.
- What was sent or canceled since, is under way, came back as a later dead letter,
  or would be canceled at once by an order in force is skipped. Each replay counts
  in the header replay-count; a fourth is refused unless --force.
- Dead letters of type validation need --set edits. Every request must pass the
  workers' own checks, after narrowing and edits.
- A request that did not fit into its dead letter is read from the request topic.
- created_at stays: mind MESSAGE_MAX_AGE_SECONDS, or set it.

The progress is kept in a consumer group whose name follows from filters, edits
and --force: the same command goes on where it was interrupted, and what comes
back is not taken twice. Another --group begins anew. Run it with --dry-run
first.

Exit code 1 if any could not be replayed.`,
		Example: `  msgctl dlq replay --channel sms --type transient --since 2h --dry-run
  msgctl dlq replay --channel sms --type transient --since 2h --rate 50
  msgctl dlq replay --channel sms --lane high --since 1h --to-lane bulk
  msgctl dlq replay --channel sms --message-id ID --set 'to[0]=+15551234567'
  msgctl dlq replay --channel email --type validation --set 'meta["order id"]=7' --set cc:=null --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(); err != nil {
				return err
			}
			c, err := s.settings(f.channel)
			if err != nil {
				return err
			}
			return s.replay(cmd, c, &f)
		},
	}
	f.bind(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.channel, "channel", "", "email, sms or whatsapp (required)")
	complete(cmd, "channel", channelNames())
	flags.StringVar(&f.toLane, "to-lane", "", "lane that all requests go to: high, normal, bulk (default: each back to where it came from)")
	complete(cmd, "to-lane", laneNames())
	flags.StringArrayVar(&f.sets, "set", nil, "edit of each request, PATH=TEXT or PATH:=JSON; may be repeated")
	flags.StringVar(&f.options.Group, "group", "", "consumer group that holds the progress (default: a name computed from filters, edits and --force)")
	flags.Float64Var(&f.options.Rate, "rate", 0, "requests a second; 0 is as fast as it goes")
	flags.BoolVar(&f.options.DryRun, "dry-run", false, "tell what would be done, and do nothing")
	flags.BoolVar(&f.options.Force, "force", false, "also a fourth replay, what seems to be under way, and what was canceled since")
	flags.BoolVar(&f.yes, "yes", false, fmt.Sprintf("do not ask for confirmation where more than %d requests would be sent", askAbove))
	return cmd
}

// read turns the flags into options.
func (f *replayFlags) read() error {
	filter, err := f.dlqFlags.read()
	if err != nil {
		return err
	}
	if f.channel == "" {
		return usageError{errors.New("--channel is required: " + strings.Join(channelNames(), ", "))}
	}
	if !(f.options.Rate >= 0) {
		return usageError{fmt.Errorf("--rate is 0 (no limit) or more, not %v", f.options.Rate)}
	}
	if f.toLane != "" {
		if err := knownLane(f.toLane); err != nil {
			return err
		}
	}
	f.options.Filter, f.options.ToLane = *filter, models.Lane(f.toLane)
	for _, text := range f.sets {
		edit, err := patch.Parse(text)
		if err != nil {
			return usageError{fmt.Errorf("--set: %w", err)}
		}
		f.options.Edits = append(f.options.Edits, edit)
	}
	if f.options.Group == "" { // of what chooses and changes letters: the same command goes on where it stopped
		words := slices.Concat([]string{f.since, f.until}, mark("type", filter.Types),
			mark("tenant", filter.Tenants), mark("code", filter.Codes), mark("error", filter.Errors), mark("id", filter.IDs),
			mark("meta", filter.Meta), mark("set", f.sets))
		if len(f.lanes) > 0 { // without lanes the name is what it was before there were any
			words = append(words, mark("lane", f.lanes)...)
		}
		if f.toLane != "" {
			words = append(words, "--to-lane", f.toLane)
		}
		if f.options.Force { // a batch of its own: the one without it has passed what it refused
			words = append(words, "--force")
		}
		sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
		f.options.Group = "msgctl-replay-" + f.channel + "-" + hex.EncodeToString(sum[:4])
	}
	return nil
}

// mark begins a list of words, so that no two lists look alike.
func mark(name string, list []string) []string { return append([]string{"--" + name}, list...) }

func (s *session) replay(cmd *cobra.Command, c *config.Config, f *replayFlags) error {
	bar := progressbar.NewOptions(1, progressbar.OptionSetVisibility(false))
	o, done, begun := f.options, int64(0), false
	o.Confirm = func(n int, topics []string) error {
		if n > askAbove && !f.yes && !o.DryRun {
			question := fmt.Sprintf("Replay up to %s of %s to %s?", counted(n, "dead letter"), c.Kafka.DLQTopic, strings.Join(topics, " and "))
			if err := confirm(cmd, question); err != nil {
				return err
			}
		}
		begun = true
		if !o.DryRun && s.output != "json" {
			bar = newProgress(cmd, "replay", int64(n))
		}
		return nil
	}
	o.OnVerdict = func(v *dlq.Verdict) error {
		done++
		_ = bar.Set64(done)
		if v.Outcome == dlq.Refused {
			_ = bar.Clear()
		}
		return s.printDecision(cmd, v, o.DryRun)
	}
	summary, err := dlq.Replay(cmd.Context(), c, o)
	_ = bar.Finish()
	if err != nil && !begun {
		return err
	}
	if printErr := s.printSummary(cmd, &summary, o.DryRun); printErr != nil {
		return errors.Join(err, printErr)
	}
	if err == nil && len(summary.Refused) > 0 {
		return errNo
	}
	return err
}

// confirm asks on the terminal. Without a terminal it is a usage error.
func confirm(cmd *cobra.Command, question string) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return usageError{fmt.Errorf("%s There is no terminal to ask: add --yes, after a look at --dry-run", question)}
	}
	fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
	answer, _ := bufio.NewReader(interruptible(cmd.Context(), in)).ReadString('\n')
	switch err := cmd.Context().Err(); {
	case err != nil:
		return err
	case slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))):
		return nil
	}
	return errNo
}
