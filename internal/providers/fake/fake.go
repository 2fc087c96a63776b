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
	"slices"
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
	Latency  time.Duration        // of each answer
	Next     func(call int) Fault // what the call of that number, from 1, suffers; nil means nothing
	OnAccept func(Accepted)       // called for each acceptance, from several goroutines; may be nil
	Discard  bool                 // keep no ledger: only OnAccept is called

	check   func(*http.Request) (fields map[string]string, r *refusal)
	to      string // the field with the recipient
	accept  func(id string, fields map[string]string) any
	refuse  func(*refusal) any
	codes   map[int]int // by status, of refusals without a code
	created int         // status of an acceptance
	newID   func(n int) string

	mu       sync.Mutex
	calls    int
	under    int
	most     int
	made     int
	accepted []Accepted
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
	return slices.Clone(s.accepted)
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
		_, _ = io.Copy(io.Discard, r.Body) // the client's end is not noticed before
		<-r.Context().Done()
		return
	}
	due := time.Now().Add(s.Latency)
	fields, refused := s.check(r)
	if s.Latency > 0 {
		select {
		case <-time.After(time.Until(due)):
		case <-r.Context().Done():
			return
		}
	}
	if refused == nil {
		refused = refusalOf(fault, w)
	}
	switch {
	case refused != nil:
		if refused.code == 0 {
			refused.code, refused.message = s.codes[refused.status], http.StatusText(refused.status)
		}
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
		s.take(w, r, fields, fault)
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

// refusalOf returns the refusal that a fault is, or nil.
func refusalOf(f Fault, w http.ResponseWriter) *refusal {
	status := map[Fault]int{
		Throttle: http.StatusTooManyRequests, Broken: http.StatusInternalServerError,
		Unavailable: http.StatusServiceUnavailable, Unauthorize: http.StatusUnauthorized,
	}[f]
	if status == 0 {
		return nil
	}
	if f == Throttle {
		w.Header().Set("Retry-After", "2")
	}
	return &refusal{status: status}
}

// take accepts a message, and answers as the fault lets it.
func (s *Server) take(w http.ResponseWriter, r *http.Request, fields map[string]string, f Fault) {
	s.mu.Lock()
	s.made++
	id := s.newID(s.made)
	a := Accepted{At: time.Now(), To: fields[s.to], ID: id, Sent: fields}
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
		answer(w, s.created, s.accept(id, fields))
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
