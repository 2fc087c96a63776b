// Package fake plays Twilio and Meta over HTTP, well enough to develop and to
// test against: it checks what it is sent against the fields that the
// providers publish, keeps a ledger of what it accepted, and can be made to
// misbehave.
package fake

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// Fault is a kind of misbehaviour.
type Fault string

// The faults. The zero Fault is none.
const (
	Throttle    Fault = "throttle"     // 429 with Retry-After
	Broken      Fault = "broken"       // 500 with the provider's error
	Unavailable Fault = "unavailable"  // 503 with the provider's error, to probes too
	Gateway     Fault = "gateway"      // 502 with a page of HTML
	HangBefore  Fault = "hang-before"  // looks at nothing, answers nothing
	HangAfter   Fault = "hang-after"   // accepts, and answers nothing
	Cut         Fault = "cut"          // reads, and cuts the connection
	Flood       Fault = "flood"        // an answer without end
	Lie         Fault = "lie"          // accepts, and answers what nobody can read
	FailAtOnce  Fault = "fail-at-once" // 201 with status failed (Twilio)
	Unauthorize Fault = "unauthorized" // refuses the credentials
)

// Faults lists them, for a command line.
func Faults() []Fault {
	return []Fault{Throttle, Broken, Unavailable, Gateway, HangBefore, HangAfter, Cut, Flood, Lie, FailAtOnce, Unauthorize}
}

// Accepted is one message in the ledger.
type Accepted struct {
	At   time.Time
	To   string
	ID   string            // that the fake gave it
	Sent map[string]string // the fields of the request, flattened
}

// Server is one fake provider. Set its fields before it serves.
type Server struct {
	Latency    time.Duration        // of each answer
	RetryAfter string               // of Throttle; empty means 2 seconds
	Next       func(call int) Fault // what the call of that number, from 1, suffers; nil means nothing
	OnAccept   func(Accepted)       // called for each acceptance, from several goroutines; may be nil
	Discard    bool                 // keep no ledger: only OnAccept is called

	check   func(*http.Request) (request, *refusal)
	accept  func(id string, r request) any
	refuse  func(*refusal) any
	created int
	newID   func(n int) string

	mu       sync.Mutex
	calls    int
	under    int
	most     int
	made     int
	accepted []Accepted
}

// request is what was understood of a call.
type request struct {
	to     string
	fields map[string]string
}

// refusal is an error answer.
type refusal struct {
	status, code int
	message      string
}

// Ledger returns what was accepted so far.
func (s *Server) Ledger() []Accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Accepted(nil), s.accepted...)
}

// Calls returns how many calls came, and how many were under way at once.
func (s *Server) Calls() (all, atOnce int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.most
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := s.begin(r)
	defer s.end()
	if fault == HangBefore {
		hang(w)
		return
	}
	due := time.Now().Add(s.Latency)
	req, refused := s.check(r)
	if s.Latency > 0 {
		select {
		case <-time.After(time.Until(due)):
		case <-r.Context().Done():
			return
		}
	}
	if refused == nil {
		refused = s.refusalOf(fault, w)
	}
	switch {
	case refused != nil:
		answer(w, refused.status, s.refuse(refused))
	case r.Method == http.MethodGet: // a probe
		answer(w, http.StatusOK, map[string]string{"status": "active"})
	case fault == Gateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html><body>502 Bad Gateway</body></html>"))
	case fault == Cut:
		panic(http.ErrAbortHandler)
	case fault == Flood:
		flood(w, r)
	default:
		s.take(w, r, req, fault)
	}
}

func (s *Server) begin(r *http.Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodGet {
		s.calls++
	}
	s.under++
	s.most = max(s.most, s.under)
	if s.Next == nil {
		return ""
	}
	return s.Next(s.calls)
}

func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
}

// hang answers nothing until the client closes the connection.
func hang(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok { // HTTP/2
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.Copy(io.Discard, conn)
}

func (s *Server) refusalOf(f Fault, w http.ResponseWriter) *refusal {
	switch f {
	case Throttle:
		after := s.RetryAfter
		if after == "" {
			after = "2"
		}
		w.Header().Set("Retry-After", after)
		return &refusal{status: http.StatusTooManyRequests}
	case Broken:
		return &refusal{status: http.StatusInternalServerError}
	case Unavailable:
		return &refusal{status: http.StatusServiceUnavailable}
	case Unauthorize:
		return &refusal{status: http.StatusUnauthorized}
	case Gateway, HangBefore, HangAfter, Cut, Flood, Lie, FailAtOnce: // no refusals
	}
	return nil
}

// take accepts a message, and answers as the fault lets it.
func (s *Server) take(w http.ResponseWriter, r *http.Request, req request, f Fault) {
	s.mu.Lock()
	s.made++
	id := s.newID(s.made)
	a := Accepted{At: time.Now(), To: req.to, ID: id, Sent: req.fields}
	if f != FailAtOnce && !s.Discard {
		s.accepted = append(s.accepted, a)
	}
	s.mu.Unlock()
	if s.OnAccept != nil && f != FailAtOnce {
		s.OnAccept(a)
	}
	switch f {
	case HangAfter:
		<-r.Context().Done()
	case Lie:
		w.WriteHeader(s.created)
		_, _ = w.Write([]byte("OK, thank you!"))
	case FailAtOnce:
		answer(w, s.created, map[string]any{"sid": id, "status": "failed", "error_code": 30007, "error_message": "Message filtered"})
	default:
		answer(w, s.created, s.accept(id, req))
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body, json.Deterministic(true)) // the client may be gone
}

// flood answers until the client has had enough.
func flood(w http.ResponseWriter, r *http.Request) {
	chunk := []byte(strings.Repeat("x", 32<<10))
	w.WriteHeader(http.StatusBadRequest)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// field is one field of a published API.
type field struct {
	name     string
	pattern  *regexp.Regexp // nil for any text
	longest  int            // in characters; zero for no limit
	required bool
}

// unfit says what is wrong with a value, or "".
func (f *field) unfit(value string) string {
	switch {
	case f.pattern != nil && !f.pattern.MatchString(value):
		return fmt.Sprintf("%s does not match %s", f.name, f.pattern)
	case f.pattern == nil && value == "":
		return f.name + " is empty"
	case f.longest > 0 && utf8.RuneCountInString(value) > f.longest:
		return fmt.Sprintf("%s has more than %d characters", f.name, f.longest)
	}
	return ""
}

// unfit names the first field that is missing, unknown or malformed in one of
// its values.
func unfit(fields []field, got map[string][]string) string {
	known := map[string]bool{}
	for _, f := range fields {
		known[f.name] = true
		if f.required && len(got[f.name]) == 0 {
			return f.name + " is missing"
		}
		for _, value := range got[f.name] {
			if wrong := f.unfit(value); wrong != "" {
				return wrong
			}
		}
	}
	for name := range got {
		if !known[name] {
			return name + " is not a field"
		}
	}
	return ""
}
