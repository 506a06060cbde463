package wire

import "encoding/json"

// Call is one request to run a tool.
type Call struct {
	Tool *Tool
	// Arguments is a JSON object, sent as it is but for white space; nil is {}.
	Arguments json.RawMessage
	// Key is the idempotency key, "" for none. It goes into
	// _meta["io.leat/idempotency-key"].
	Key string
	// Traceparent is the W3C trace context, "" for none.
	Traceparent string
	// Session says who shares the state of a stateful server: calls with the same one.
	// "" is that of the connection itself; workflows should use their own.
	Session string
	// Limits of this call; what is zero is the connection's.
	Limits Limits
	// Progress is told of rising progress of this call, from one goroutine, not after
	// the call returned. It must not block.
	Progress func(Progress)
	// State and Replies continue a call that asked something (see [Questions]).
	State   json.RawMessage
	Replies map[string]Reply
}

// Progress is how far a server says that a call is.
type Progress struct {
	Done, Total float64 // Total is 0 when unknown
	Message     string
}
