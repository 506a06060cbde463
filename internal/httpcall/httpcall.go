// Package httpcall runs the `http` invocations of definitions: task http.call of
// queue http. Its input is {method, url, headers, body}, its result {status,
// headers, body}.
//
// What a definition computes is not trusted: a call goes only to hosts that the
// operator allowed, the address is checked again after its name was resolved,
// redirects are checked as the first request was, and sizes and times are
// bounded. A request is written at most once an attempt; trying again is the
// router's.
//
// internal/egress says which hosts and addresses are allowed, request.go and
// response.go read and write the JSON, failure.go holds the codes.
package httpcall

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/internal/egress"
	"github.com/leat-io/leat/pkg/events"
)

// TaskName is the task that [Caller.Handle] runs.
const TaskName = "http.call"

// Bounds of one call.
const (
	maxRedirects = 5
	maxBody      = events.MaxPayloadLength // of the response, after decompression
	usualTime    = time.Minute             // of a task without a start-to-close timeout
)

// Config says where calls may go. The zero value allows nothing.
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
}

// Caller makes calls. Safe for concurrent use.
type Caller struct {
	gate    *egress.Gate
	usual   *http.Transport
	foreign *http.Transport // of redirects to another origin: public addresses only
}

// New makes a caller. The error says which entry of Allow cannot be read.
func New(c Config) (*Caller, error) {
	gate, err := egress.New(egress.Config{
		Allow: c.Allow, AllowPrivate: c.AllowPrivate, RootCAs: c.RootCAs, For: "http calls", Flag: "--http-allow",
		IdlePerHost: 16, IdleTime: 30 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return &Caller{gate: gate, usual: gate.Listed(), foreign: gate.Foreign()}, nil
}

// check refuses a URL that the operator did not allow.
func (c *Caller) check(u *url.URL) error {
	if err := c.gate.Check(u); err != nil {
		return fail(CodeHostNotAllowed, "%v", err)
	}
	return nil
}

// Close ends idle connections.
func (c *Caller) Close() {
	c.gate.Close()
}

// Handle makes the call that a task asks for.
func (c *Caller) Handle(ctx context.Context, task *events.Task) (json.RawMessage, error) {
	if task.Timeouts.StartToClose <= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, usualTime, errUsualTime)
		defer cancel()
	}
	req, err := newRequest(ctx, task)
	if err != nil {
		return nil, err
	}
	if err := c.check(req.URL); err != nil {
		return nil, err
	}
	var written atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }}))
	result, err := c.call(req)
	if err != nil {
		return nil, failure(ctx, req, err, task.Delivery == events.AtMostOnce && written.Load())
	}
	return result, nil
}

func (c *Caller) call(req *http.Request) (json.RawMessage, error) {
	given := req.Header.Clone()
	client := http.Client{
		Transport: &hop{caller: c, first: egress.Origin(req.URL)},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fail(CodeRedirect, "more than %d redirects", maxRedirects)
			}
			if egress.Origin(next.URL) != egress.Origin(via[0].URL) {
				next.Header = own(given) //nolint:gosec // what the definition gave is for the host that it named, and is not among these
			}
			next.URL.RawQuery = escapeQuery(next.URL.RawQuery)
			return c.check(next.URL)
		},
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := statusError(resp); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	return result(resp, body)
}

// hop sends each request of a call by the transport that its origin is due.
type hop struct {
	caller *Caller
	first  string
}

func (h *hop) RoundTrip(r *http.Request) (*http.Response, error) {
	once := r.WithContext(r.Context())
	once.GetBody = nil // or net/http would send it again on a connection that broke
	if egress.Origin(r.URL) != h.first {
		return h.caller.foreign.RoundTrip(once)
	}
	return h.caller.usual.RoundTrip(once)
}

// errUsualTime is why a call without a timeout of its own ends.
var errUsualTime = errors.New("no answer within " + usualTime.String() + ", which bounds a call without timeout.startToClose")

func describe(r *http.Request) string {
	return fmt.Sprintf("%s %s://%s%s", r.Method, r.URL.Scheme, r.URL.Host, r.URL.EscapedPath())
}
