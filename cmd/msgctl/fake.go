package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"messaging-worker/internal/providers/fake"
)

type fakeOptions struct {
	port      int
	latency   time.Duration
	fault     string
	every     int
	account   string
	token     string
	numberIDs []string
	quiet     bool
}

func fakeProvider() *cobra.Command {
	o := fakeOptions{account: "AC" + strings.Repeat("0", 31) + "1", token: "fake-token", numberIDs: []string{"100"}}
	var names []string
	for _, f := range fake.Faults() {
		names = append(names, string(f))
	}
	cmd := &cobra.Command{
		Use:   "fake-provider twilio|meta",
		Short: "Play Twilio's or Meta's API on this machine",
		Long: `Play Twilio's Messages API or Meta's Cloud API on a loopback port, to develop
against: credentials and fields are checked against what the providers publish,
Twilio's magic numbers of test credentials fail as documented, and each accepted
message is printed. --fault misbehaves: ` + strings.Join(names, ", ") + `.`,
		Example: `  msgctl fake-provider twilio
  msgctl fake-provider meta --latency 50ms
  msgctl fake-provider twilio --fault throttle --every 10   # each tenth call`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"twilio", "meta"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.fault != "" && !slices.Contains(names, o.fault) {
				return usageError{fmt.Errorf("--fault is one of %s, not %q", strings.Join(names, ", "), o.fault)}
			}
			if o.every < 1 || o.latency < 0 {
				return usageError{errors.New("--every must be at least 1, and --latency not negative")}
			}
			return o.serve(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.port, "port", 18080, "loopback port; 0 takes a free one")
	flags.DurationVar(&o.latency, "latency", 0, "time that each answer takes")
	flags.StringVar(&o.fault, "fault", "", "misbehave in this way")
	flags.IntVar(&o.every, "every", 1, "misbehave at each Nth call only")
	flags.StringVar(&o.account, "account-sid", o.account, "Twilio's account SID")
	flags.StringVar(&o.token, "token", o.token, "Twilio's auth token, or Meta's access token")
	flags.StringSliceVar(&o.numberIDs, "phone-number-id", o.numberIDs, "Meta's phone number ids")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print no line a message, only the sum at the end")
	return cmd
}

func (o *fakeOptions) serve(ctx context.Context, provider string, out io.Writer) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprint("127.0.0.1:", o.port))
	if err != nil {
		return fmt.Errorf("%w (--port takes another)", err)
	}
	url := "http://" + l.Addr().String()
	server := fake.Twilio(o.account, o.account, o.token)
	hint := fmt.Sprintf("SMS_PROVIDER=twilio TWILIO_BASE_URL=%s TWILIO_ACCOUNT_SID=%s TWILIO_AUTH_TOKEN=%s", url, o.account, o.token)
	if provider == "meta" {
		const version = "v23.0"
		server = fake.Meta(version, o.token, o.numberIDs...)
		hint = fmt.Sprintf("WHATSAPP_PROVIDER=meta META_BASE_URL=%s META_API_VERSION=%s META_ACCESS_TOKEN=%s META_PHONE_NUMBER_ID=%s",
			url, version, o.token, o.numberIDs[0])
	}
	var mu sync.Mutex
	accepted := 0
	server.Latency, server.Discard = o.latency, true
	server.OnAccept = func(a fake.Accepted) {
		mu.Lock()
		defer mu.Unlock()
		accepted++
		if !o.quiet {
			fmt.Fprintln(out, a.At.Format("15:04:05.000"), "accepted", a.ID, "for", a.To)
		}
	}
	if o.fault != "" {
		server.Next = func(call int) fake.Fault {
			if call%o.every == 0 {
				return fake.Fault(o.fault)
			}
			return ""
		}
	}
	fmt.Fprintf(out, "%s on %s; the worker's settings:\n%s\n", provider, url, hint)
	h := &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	calls, atOnce := server.Calls()
	mu.Lock()
	defer mu.Unlock()
	fmt.Fprintf(out, "%d calls, at most %d at once, %d messages accepted\n", calls, atOnce, accepted)
	return nil
}
