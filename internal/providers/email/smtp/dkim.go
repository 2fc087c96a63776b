package smtp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-msgauth/dkim"
)

// minRSABits is the shortest RSA key that verifiers accept (RFC 8301, 3.2).
const minRSABits = 1024

// DKIM signs mail (RFC 6376).
type DKIM struct{ options dkim.SignOptions }

// NewDKIM makes a signer of a private key in PEM: PKCS #8 or PKCS #1, RSA or
// Ed25519 (RFC 8463). Its errors hold nothing of the key.
func NewDKIM(domain, selector string, key []byte) (*DKIM, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	signer, err := parseKey(block)
	if err != nil {
		return nil, err
	}
	d := &DKIM{dkim.SignOptions{
		Domain: domain, Selector: selector, Signer: signer, Hash: crypto.SHA256,
		// Relays fold and trim; relaxed survives that.
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		// RFC 6376, 5.4.1, and RFC 8058, 4 for List-Unsubscribe. A name that
		// the message does not have may not be added later.
		HeaderKeys: []string{
			"From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
			"Content-Transfer-Encoding", "Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post",
		},
	}}
	if err := d.sign(io.Discard, []byte("From: <a@example.com>\r\n\r\n")); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return d, nil
}

func parseKey(block *pem.Block) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return nil, errors.New("not a private key in PKCS #8 or PKCS #1")
		}
	}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits, at least %d", k.N.BitLen(), minRSABits)
		}
		return k, nil
	}
	return nil, errors.New("not an RSA or Ed25519 key")
}

// sign writes message to w behind its signature.
func (d *DKIM) sign(w io.Writer, message []byte) error {
	return dkim.Sign(w, bytes.NewReader(message), &d.options)
}
