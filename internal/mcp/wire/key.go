package wire

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Key is an [Authorizer] that sends a secret which somebody else keeps: an API key,
// a bearer token. It is read for every request, so that a new one counts at once.
type Key struct {
	// Header is where it goes; "" is Authorization, as a bearer token.
	Header string
	// Read reads the secret. It must be quick: a file, an environment variable.
	Read func() (string, error)

	mu   sync.Mutex
	used []string // the last ones, which errors must not show
}

var _ Authorizer = (*Key)(nil)

// keptSecrets is how many of the last secrets are taken out of errors: an answer
// to the old one can come when the new one is in use.
const keptSecrets = 4

// Authorize implements [Authorizer].
func (k *Key) Authorize(_ context.Context, r *http.Request) error {
	secret, err := k.read()
	if err != nil {
		return err
	}
	if k.Header == "" || strings.EqualFold(k.Header, "Authorization") {
		secret = "Bearer " + secret
	}
	name := k.Header
	if name == "" {
		name = "Authorization"
	}
	r.Header.Set(name, secret)
	return nil
}

// read reads the secret and remembers it for errors.
func (k *Key) read() (string, error) {
	secret, err := k.Read()
	if err != nil {
		return "", err
	}
	secret = strings.TrimSpace(secret)
	if secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errors.New("the key is empty, or holds what no header can hold")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.used, secret) {
		return secret, nil
	}
	if k.used = append(k.used, secret); len(k.used) > keptSecrets {
		k.used = k.used[1:]
	}
	return secret, nil
}

// Refused implements [Authorizer]: it is worth another try when the secret is
// another by now.
func (k *Key) Refused(_ context.Context, r *http.Request, resp *http.Response) (bool, error) {
	if resp.StatusCode != http.StatusUnauthorized {
		return false, nil
	}
	secret, err := k.read()
	if err != nil {
		return false, err
	}
	name := k.Header
	if name == "" {
		name = "Authorization"
	}
	sent := r.Header.Get(name)
	return sent != secret && sent != "Bearer "+secret, nil
}

// Secrets implements [Authorizer].
func (k *Key) Secrets() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.used...)
}
