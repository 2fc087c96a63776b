package email

import (
	"fmt"
	"time"
)

// Stages of a conversation, as the errors name them.
const (
	StageConnect  = "connect"
	StageTLS      = "TLS" // from the first byte
	StageGreeting = "greeting"
	StageEHLO     = "EHLO"
	StageSTARTTLS = "STARTTLS"
	StageAUTH     = "AUTH"
	StageNOOP     = "NOOP"
	StageRSET     = "RSET"
	StageMAIL     = "MAIL"
	StageRCPT     = "RCPT"
	StageDATA     = "DATA"
	StageBody     = "body" // the message but for its last line
	StageMessage  = "."    // its last line, and the reply to it
	StageDKIM     = "DKIM" // before any connection
)

// ReplyError is a reply that refuses the message as a whole.
type ReplyError struct {
	Reply

	Stage string // of the command or the message that was refused
}

// Error returns the code, and where there is one the enhanced code.
func (e *ReplyError) Error() string { return e.String() }

// SetupError is a failure to set a connection up: TLS, the greeting, EHLO, or
// our credentials. It happens before the message is offered, so it says nothing
// about the message.
type SetupError struct {
	Stage string
	Reply Reply // what the server answered; zero where it is not an answer
	Err   error // what is wrong where no reply says it; else nil. It holds no secret
}

// Error names the stage, and the reply's codes or what is wrong.
func (e *SetupError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("smtp %s: %v", e.Stage, e.Err)
	}
	return e.Stage + ": " + e.Reply.String()
}

// Unwrap returns what is wrong where no reply says it.
func (e *SetupError) Unwrap() error { return e.Err }

// ConnectionError is a connection that could not be made, broke, or ran out of time.
type ConnectionError struct {
	Stage string

	// Limit is the time limit that a time-out ran into, as it was set; zero
	// where the caller's context alone limited it.
	Limit time.Duration

	// Ambiguous says that the message's last line was written and at most the
	// beginning of a refusal came in reply: the server
	// may have accepted the message.
	Ambiguous bool

	Err error // the network's error, io.EOF, or the context's
}

// Error names the stage and the cause.
func (e *ConnectionError) Error() string { return fmt.Sprintf("smtp %s: %v", e.Stage, e.Err) }

// Unwrap returns the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

// BusyError says that every connection that the server grants is in use. The
// message was not offered: send it again when fewer calls are under way.
type BusyError struct{}

// Error says so.
func (e *BusyError) Error() string { return "every connection that the server grants is in use" }

// TimeUpError says that transactions before took the call's time, so that
// there was none for another. It is about recipients that the message was
// certainly not sent to, and no fault of the server.
type TimeUpError struct{ Limit time.Duration } // of the call, as it was set

// Error names the limit.
func (e *TimeUpError) Error() string {
	return fmt.Sprintf("timeout after %s before every recipient was tried", e.Limit)
}

// ProtocolError is an answer that is no reply of SMTP.
type ProtocolError struct {
	Stage string
	Text  string // what came, in short; it may hold an address

	// Accepted says that it came in answer to the message's last line: it may
	// be an acceptance, and the message must not be repeated. An answer that
	// began, and was cut before it said that it refuses, is one too.
	Accepted bool
}

// Error names the stage.
func (e *ProtocolError) Error() string { return "smtp " + e.Stage + ": a reply outside the protocol" }

// UnsendableError is a message that needs what this server does not have. No
// server was asked to take it.
type UnsendableError struct{ Reason string }

// Error returns the reason.
func (e *UnsendableError) Error() string { return e.Reason }
