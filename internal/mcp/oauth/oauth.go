// Package oauth lets a connection to a subsystem prove who calls by OAuth 2.1, with
// the flows of the official SDK: metadata of the resource (RFC 9728) and of the
// authorization server (RFC 8414), registration, PKCE, steps up of scope.
//
// It keeps no tokens beyond the process, and decides nothing about where requests
// may go: the http.Client that a flow is given does.
package oauth

import (
	"context"
	"net/http"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/leat-io/leat/internal/mcp/wire"
)

// Authorizer is a [wire.Authorizer] over a flow of the SDK. One flow runs at a time:
// requests that are refused together authorize once.
type Authorizer struct {
	flow auth.OAuthHandler

	flowing sync.Mutex // of the flow, which is not safe for concurrent use

	mu   sync.Mutex
	used map[string]bool // tokens, which errors must not show
}

var _ wire.Authorizer = (*Authorizer)(nil)

// New is an authorizer over flow. Give flow an http.Client that goes only where the
// operator allows.
func New(flow auth.OAuthHandler) *Authorizer {
	return &Authorizer{flow: flow, used: make(map[string]bool)}
}

// Authorize implements [wire.Authorizer].
func (a *Authorizer) Authorize(ctx context.Context, r *http.Request) error {
	token, err := a.token(ctx)
	if err != nil || token == "" {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// token is the current one; "" while nobody asked for one.
func (a *Authorizer) token(ctx context.Context) (string, error) {
	a.flowing.Lock()
	defer a.flowing.Unlock()
	source, err := a.flow.TokenSource(ctx)
	if err != nil || source == nil {
		return "", err
	}
	token, err := source.Token()
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.used) > 16 {
		clear(a.used)
	}
	a.used[token.AccessToken] = true
	if token.RefreshToken != "" {
		a.used[token.RefreshToken] = true
	}
	return token.AccessToken, nil
}

// Refused implements [wire.Authorizer]: it runs the flow, unless another request
// did so while this one was under way.
func (a *Authorizer) Refused(ctx context.Context, r *http.Request, resp *http.Response) (bool, error) {
	sent := r.Header.Get("Authorization")
	if now, err := a.token(ctx); err == nil && now != "" && sent != "Bearer "+now {
		return true, nil
	}
	a.flowing.Lock()
	defer a.flowing.Unlock()
	if err := a.flow.Authorize(ctx, r, resp); err != nil {
		return false, err
	}
	return true, nil
}

// Secrets implements [wire.Authorizer].
func (a *Authorizer) Secrets() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]string, 0, len(a.used))
	for secret := range a.used {
		out = append(out, secret)
	}
	return out
}
