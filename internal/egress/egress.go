// Package egress says where requests may go that users and strangers ask for: the
// calls of definitions, the calls to MCP servers. A request goes only to hosts
// that the operator allowed, and the address is checked again after its name was
// resolved.
//
// policy.go says which hosts are allowed, dial.go which addresses. It makes no
// requests, follows no redirects and uses no proxy.
package egress

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"code.dny.dev/ssrf"
)

const maxHeaderBytes = 64 << 10 // of an answer

// Config says where requests may go. The zero value allows nothing.
type Config struct {
	// Allow lists hosts: "api.example.com", "*.example.com" (what is below it),
	// "host:8443", "*" (every public host). https is meant, unless the entry
	// begins with http://. Without a port it is the scheme's own.
	Allow []string
	// AllowPrivate lets the names of allowed hosts resolve to private and loopback
	// addresses. An address in Allow itself needs it not.
	AllowPrivate bool
	// RootCAs are trusted instead of the system's when not nil.
	RootCAs *x509.CertPool
	// For and Flag are for the text of a refusal: what the requests are, and with what
	// the operator allows a host.
	For, Flag string
	// IdlePerHost is how many connections to a host are kept while nothing uses them;
	// default 16. IdleTime is how long; default 30 s.
	IdlePerHost int
	IdleTime    time.Duration
	// Uncompressed asks for no compression: an answer that is a stream comes as it is
	// written.
	Uncompressed bool
}

// Gate lets requests out. Safe for concurrent use.
type Gate struct {
	config  Config
	policy  policy
	listed  *http.Transport
	foreign *http.Transport
}

// New makes a gate. The error says which entry of Allow cannot be read.
func New(c Config) (*Gate, error) {
	p, err := newPolicy(c.Allow)
	if err != nil {
		return nil, err
	}
	if c.IdlePerHost <= 0 {
		c.IdlePerHost = 16
	}
	if c.IdleTime <= 0 {
		c.IdleTime = 30 * time.Second
	}
	g := &Gate{config: c, policy: p}
	g.listed = newTransport(dialer(c.AllowPrivate), p.names, &c)
	g.foreign = newTransport(dialer(false), nil, &c)
	return g, nil
}

// NotAllowedError is a host that is not in the list of allowed ones.
type NotAllowedError struct {
	Entry     string // what would have to be allowed
	For, Flag string
}

func (e *NotAllowedError) Error() string {
	return fmt.Sprintf("%s is not among the hosts that %s may go to; allow it where the executor (or `leat dev`) starts: %s '%s'", e.Entry, e.For, e.Flag, e.Entry)
}

// Check refuses a URL that nothing in the list leads to, with a [*NotAllowedError].
func (g *Gate) Check(u *url.URL) error {
	if g.policy.allows(u) {
		return nil
	}
	return &NotAllowedError{Entry: entryFor(u), For: g.config.For, Flag: g.config.Flag}
}

// RoundTrip implements [http.RoundTripper] for what the list allows. It follows no
// redirects.
func (g *Gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.Check(r.URL); err != nil {
		return nil, err
	}
	return g.listed.RoundTrip(r)
}

// Listed goes to addresses that the list allows; whoever uses it checks the URL.
// Foreign goes to public addresses only: it is for what another host asked for.
func (g *Gate) Listed() *http.Transport { return g.listed }

// Foreign is described at [Gate.Listed].
func (g *Gate) Foreign() *http.Transport { return g.foreign }

// Close ends idle connections.
func (g *Gate) Close() {
	g.listed.CloseIdleConnections()
	g.foreign.CloseIdleConnections()
}

// IsAddress reports whether a request failed because its host's name leads to an
// address that is not allowed.
func IsAddress(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork)
}
