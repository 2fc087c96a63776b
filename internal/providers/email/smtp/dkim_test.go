package smtp

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

func pemOf(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestSignatureIsVerified(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	ed8, edErr := x509.MarshalPKCS8PrivateKey(edKey)
	tests := []struct {
		name   string
		key    []byte
		record string
	}{
		{"RSA in PKCS 8", pemOf(t, "PRIVATE KEY", pkcs8, err), "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic)},
		{"RSA in PKCS 1", pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic)},
		{"Ed25519", pemOf(t, "PRIVATE KEY", ed8, edErr), "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edPublic)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := NewDKIM("example.com", "mail", tt.key)
			if err != nil {
				t.Fatal(err)
			}
			m := sample()
			m.ListUnsubscribe = "https://example.com/u"
			l, err := (&messageWriter{dkim: d}).write(&m, false)
			if err != nil {
				t.Fatal(err)
			}
			text := l.signed.Bytes()
			if l.size != int64(len(text)) {
				t.Errorf("size %d, want that of the signed message, %d", l.size, len(text))
			}
			checkLines(t, text)
			if err := verify(text, tt.record); err != nil {
				t.Errorf("as sent: %v", err)
			}
			if err := verify(bytes.Replace(text, []byte("Subject: W"), []byte("Subject: w"), 1), tt.record); err == nil {
				t.Error("with another subject: still verified")
			}
			if err := verify(bytes.Replace(text, []byte("Subject: W"), []byte("Reply-To: x@example.com\r\nSubject: W"), 1), tt.record); err == nil {
				t.Error("with a Reply-To added: still verified")
			}
		})
	}
}

func verify(text []byte, record string) error {
	list, err := dkim.VerifyWithOptions(bytes.NewReader(text), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != "mail._domainkey.example.com" {
				return nil, fmt.Errorf("asked for %s", name)
			}
			return []string{record}, nil
		},
	})
	if err != nil {
		return err
	}
	if len(list) != 1 {
		return fmt.Errorf("%d signatures", len(list))
	}
	return list[0].Err
}

func TestBadDKIMKey(t *testing.T) {
	t.Parallel()
	for name, key := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("secret"), "no key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")}),
	} {
		if _, err := NewDKIM("example.com", "mail", key); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
