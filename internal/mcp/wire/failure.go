package wire

import (
	"fmt"
	"time"
)

// The codes of failures. They are what a statechart sees.
const (
	CodeUnavailable  = "MCP_UNAVAILABLE"       // no connection, it broke, or the server failed
	CodeUnauthorized = "MCP_UNAUTHORIZED"      // the credential was refused, or could not be read
	CodeBusy         = "MCP_BUSY"              // it said when to come again
	CodeTimeout      = "MCP_TIMEOUT"           // no progress, or no answer, in time
	CodeTooLarge     = "MCP_TOO_LARGE"         // the answer, or the request, is longer than allowed
	CodeProtocol     = "MCP_PROTOCOL"          // what came is not MCP, or the server says that what it got is not
	CodeInvalid      = "MCP_INVALID_RESULT"    // an answer to the call that is none of those it may have
	CodeArguments    = "MCP_INVALID_ARGUMENTS" // the server refused the arguments (it may have run by then)
	CodeTool         = "MCP_TOOL_ERROR"        // the server answered with an error of its own
)

// Evidence says what is known about whether a call ran.
type Evidence int

// From what allows everything to what allows nothing.
const (
	// Unknown: the request went out whole and nothing proves that it did not run.
	// It is the zero value: who forgets to say anything proves nothing.
	Unknown Evidence = iota
	// NotSent: no whole request left this process.
	NotSent
	// Refused: the server answered, before it ran anything, that it does not: 401,
	// 403, 413, 429 and 503 with Retry-After, the JSON-RPC codes -32020 to -32022,
	// 404 for a session that it no longer knows.
	Refused
)

func (e Evidence) String() string { return [...]string{"unknown", "not sent", "refused"}[e] }

// Proven reports whether the call did not run for certain.
func (e Evidence) Proven() bool { return e != Unknown }

// Failure is why a call has no answer. Its text holds no secret and no body of
// the call.
type Failure struct { //nolint:errname // it is what a call comes to, beside an answer
	Code     string
	Message  string
	Evidence Evidence
	// Answered: the server itself answered this call with an error. What it did
	// before, it alone knows; that the call is over is certain.
	Answered bool
	// RetryAfter is how long the server wants to be left alone; 0 when it did not say.
	RetryAfter time.Duration
	// Status is that of the HTTP answer, RPC the code of the JSON-RPC error; 0 for none.
	Status int
	RPC    int64
	// Cause is the error below, nil when there is none. It is not for records: it may
	// name addresses.
	Cause error
}

func (f *Failure) Error() string { return f.Message }
func (f *Failure) Unwrap() error { return f.Cause }

func failed(code string, evidence Evidence, format string, args ...any) *Failure {
	return &Failure{Code: code, Evidence: evidence, Message: fmt.Sprintf(format, args...)}
}

func (f *Failure) because(cause error) *Failure {
	f.Cause = cause
	return f
}

// before says that f ended what has to come before the request: that was not sent.
func (f *Failure) before() *Failure {
	f.Evidence, f.Answered = NotSent, false
	if f.Code == CodeTool || f.Code == CodeArguments || f.Code == CodeInvalid {
		f.Code = CodeProtocol
	}
	return f
}
