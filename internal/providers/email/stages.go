package email

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
