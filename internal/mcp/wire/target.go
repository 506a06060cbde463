package wire

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"time"

	"github.com/leat-io/leat/internal/egress"
)

// Target says where a subsystem is: at a URL or behind a command, not both.
type Target struct {
	// ID names the subsystem in errors and logs.
	ID string
	// URL is the MCP endpoint, http or https.
	URL string
	// Command is the program that speaks MCP on its standard streams.
	Command []string
	// Env is the whole environment of the program, "NAME=value" each. Nothing of
	// this process's own environment is handed on.
	Env []string
	// Dir is the program's working directory; "" is this process's.
	Dir string
}

// Options of a connection. The zero value works for a command; a URL needs
// Transport.
type Options struct {
	// Name and Version say who calls; default leat, and "0".
	Name, Version string
	// Transport carries the requests to a URL. It is the guard: it refuses what the
	// operator did not allow. It must follow no redirects.
	Transport http.RoundTripper
	// Authorizer proves who calls; nil for nobody in particular.
	Authorizer Authorizer
	// Limits bound what no call of its own bounds.
	Limits Limits
	// Elicitation says that questions of the subsystem find somebody who answers.
	// Without it the subsystem is told not to ask.
	Elicitation bool
	// Tasks says that the caller can take a [Task] for an answer.
	Tasks bool
	// Era is what an earlier connection found, so that nothing is probed; default
	// unknown.
	Era Era
	// Changed is called after the subsystem said that its tools changed, or when that
	// may have been missed. From a goroutine of the connection, never twice at once;
	// it must not block. Nil: nobody listens.
	Changed func()
	// Log gets what no caller is told: noise, strays, restarts. Nil for nowhere.
	Log *slog.Logger
}

// Limits bound a call. A zero field has the default.
type Limits struct {
	// Idle is how long a call may go without rising progress of its own; default 60 s.
	Idle time.Duration
	// Call is how long a call may take, whatever it reports; default 10 min. The time
	// in which its question waits for an answer does not count.
	Call time.Duration
	// ResultBytes bounds an answer, as JSON on the wire; default 1 MiB.
	ResultBytes int
}

const (
	defaultIdle   = time.Minute
	defaultCall   = 10 * time.Minute
	defaultResult = 1 << 20
)

// or fills what is zero from the limits of the connection, or from the defaults.
func (l Limits) or(rest Limits) Limits {
	if l.Idle <= 0 {
		l.Idle = rest.Idle
	}
	if l.Call <= 0 {
		l.Call = rest.Call
	}
	if l.ResultBytes <= 0 {
		l.ResultBytes = rest.ResultBytes
	}
	return l
}

// Authorizer proves to a server who calls. Safe for concurrent use.
type Authorizer interface {
	// Authorize sets the headers that prove it. An error means that the request is not
	// sent.
	Authorize(ctx context.Context, r *http.Request) error
	// Refused is told of a 401 or 403, once a request: the body of resp may be read.
	// True: something changed, and the request is worth sending once more.
	Refused(ctx context.Context, r *http.Request, resp *http.Response) (again bool, err error)
	// Secrets are the texts that must not stand in errors.
	Secrets() []string
}

// Era is a generation of the protocol.
type Era int

// The generations.
const (
	EraUnknown Era = iota
	EraLegacy      // 2025-11-25 and before
	EraModern      // 2026-07-28
)

func (e Era) String() string { return [...]string{"unknown", "legacy", "modern"}[e] }

// Server is what a subsystem says of itself. It is not to be believed.
type Server struct {
	Era      Era
	Revision string // the agreed one, such as "2026-07-28"
	Name     string // "" when it did not say
	Version  string
	// Tools says that it has tools, ToolsChange that it tells when they change.
	Tools, ToolsChange bool
	// Tasks says that it may answer a call with a task.
	Tasks bool
}

// idleTime is how long a connection is kept while no call uses it. Many servers
// close one after 5 s, and a request that meets the end of its connection has an
// unknown outcome.
const idleTime = 3 * time.Second

// NewGate is the [Options.Transport] that goes only where the operator allows:
// allow as in [egress.Config].
func NewGate(allow []string, private bool, roots *x509.CertPool) (*egress.Gate, error) {
	return egress.New(egress.Config{
		Allow: allow, AllowPrivate: private, RootCAs: roots, For: "MCP calls", Flag: "--mcp-allow",
		IdlePerHost: 64, IdleTime: idleTime, Uncompressed: true,
	})
}
