package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// Secret is a password, token or key. Printing it in any form shows nothing of
// it. The zero Secret is not set.
type Secret struct {
	value string
	file  string
}

// IsSet reports whether there is a secret.
func (s Secret) IsSet() bool { return s.value != "" || s.file != "" }

// Get returns the secret. One that was given as a file is read from it again,
// so that it can be rotated without a restart; white space around it is
// trimmed, and so is a byte order mark.
func (s Secret) Get() (string, error) {
	if s.file == "" {
		return s.value, nil
	}
	data, err := os.ReadFile(s.file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(data), byteOrderMark)), nil
}

// Version returns a text that changes when the secret in the file does, and
// does not tell it; "" for a secret that was not given as a file.
func (s Secret) Version() string {
	if s.file == "" {
		return ""
	}
	text, err := s.Get()
	if err != nil {
		return "unreadable"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// String hides the secret.
func (s Secret) String() string {
	if !s.IsSet() {
		return "(not set)"
	}
	return "(hidden)"
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// SecretFile makes a secret that is read from the file at path; an empty path
// makes one that is not set.
func SecretFile(path string) Secret { return Secret{file: path} }

// checkSecret reports what no secret in a variable is like. One that does have
// quotes around it can be given as a file.
func (l *loader) checkSecret(name, value string) {
	switch {
	case strings.ContainsAny(value, "\r\n"):
		l.problem(name, "has more than one line")
	case quoted(value):
		l.problem(name, "%v", errQuoted)
	}
}
