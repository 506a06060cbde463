package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/leat-io/leat/internal/mcp/header"
)

// message is one JSON-RPC message. What is not there is nil.
type message struct {
	id     json.RawMessage
	method string
	params json.RawMessage
	result json.RawMessage
	err    *rpcError
}

// rpcError is a JSON-RPC error.
type rpcError struct {
	Code    int64
	Message string
	Data    json.RawMessage
}

// The codes that say that nothing ran.
const (
	rpcHeaderMismatch  = -32020
	rpcMissingClient   = -32021
	rpcUnsupported     = -32022
	rpcInvalidParams   = -32602
	rpcMethodNotFound  = -32601
	rpcInvalidRequest  = -32600
	rpcParse           = -32700
	rpcInternal        = -32603
	maxServerMessage   = 1024 // bytes of a text of the server's in an error of ours
	maxMessageNotation = 64   // of an id
)

var (
	errNoMessage = errors.New("is not a JSON-RPC message")
	errNoUTF8    = errors.New("is not UTF-8")
)

// fields splits a JSON object. Names are exact, of twins the last one counts.
func fields(raw []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errNoMessage
	}
	return m, nil
}

// decode reads a message.
func decode(raw []byte) (message, error) {
	var m message
	if !utf8.Valid(raw) {
		return m, errNoUTF8
	}
	f, err := fields(raw)
	if err != nil {
		return m, errNoMessage
	}
	m.id, m.params, m.result = present(f["id"]), f["params"], f["result"]
	if text, ok := f["method"]; ok {
		if json.Unmarshal(text, &m.method) != nil || m.method == "" {
			return m, errNoMessage
		}
	}
	if m.err, err = decodeError(f["error"]); err != nil {
		return m, err
	}
	if m.method == "" && m.result == nil && m.err == nil || len(m.id) > maxMessageNotation {
		return m, errNoMessage
	}
	return m, nil
}

// decodeError reads an error, leniently: a code that is missing is 0.
func decodeError(raw json.RawMessage) (*rpcError, error) {
	if present(raw) == nil {
		return nil, nil
	}
	f, err := fields(raw)
	if err != nil {
		return nil, errNoMessage
	}
	e := &rpcError{Data: f["data"]}
	_ = json.Unmarshal(f["code"], &e.Code)
	_ = json.Unmarshal(f["message"], &e.Message)
	return e, nil
}

// present is nil for null.
func present(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// answers reports whether m is the answer to request id.
func (m *message) answers(id int64) bool {
	return m.method == "" && string(m.id) == strconv.FormatInt(id, 10)
}

// outgoing is what this side sends, in the order of its fields.
type outgoing struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   *outgoingError  `json:"error,omitempty"`
}

type outgoingError struct {
	Code    int64  `json:"code"`
	Message string `json:"message"`
}

// encode writes v as one line of JSON, without its end. Numbers inside of raw JSON
// stay as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func notation(id int64) json.RawMessage { return strconv.AppendInt(nil, id, 10) }

// request is a request on its way.
type request struct {
	id     int64
	method string
	name   string // of the tool or the task, for the header
	params any
	header []header.Value
	// revision is the one that the request is written for.
	revision string
	// session is whose state of a stateful server the request may see.
	session string
	limit   int // bytes of the answer
}

func (r *request) encode() ([]byte, error) {
	return encode(outgoing{Version: "2.0", ID: notation(r.id), Method: r.method, Params: r.params})
}

// The revisions that this side speaks, the newest of each era first.
const (
	revisionModern = "2026-07-28"
	revisionLegacy = "2025-11-25"
)

var legacyRevisions = []string{revisionLegacy, "2025-06-18", "2025-03-26", "2024-11-05"}

// extensionTasks is the extension by which a call may answer with a task.
const extensionTasks = "io.modelcontextprotocol/tasks"

// meta is the _meta of a request.
type meta struct {
	Revision     string        `json:"io.modelcontextprotocol/protocolVersion,omitempty"`
	Client       *implement    `json:"io.modelcontextprotocol/clientInfo,omitempty"`
	Capabilities *capabilities `json:"io.modelcontextprotocol/clientCapabilities,omitempty"`
	Progress     *int64        `json:"progressToken,omitempty"`
	Key          string        `json:"io.leat/idempotency-key,omitempty"`
	Traceparent  string        `json:"traceparent,omitempty"`
}

type implement struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// capabilities are what the subsystem may ask of this side. Sampling and roots are
// never among them.
type capabilities struct {
	Elicitation *elicitation        `json:"elicitation,omitempty"`
	Extensions  map[string]struct{} `json:"extensions,omitempty"`
}

type elicitation struct {
	Form *struct{} `json:"form,omitempty"`
	URL  *struct{} `json:"url,omitempty"`
}

// identity is what every request of a connection says of this side.
type identity struct {
	client       implement
	modern       capabilities
	legacy       capabilities
	offersTasks  bool
	offersPeople bool
}

func newIdentity(o *Options) identity {
	id := identity{client: implement{o.Name, o.Version}, offersTasks: o.Tasks, offersPeople: o.Elicitation}
	if o.Elicitation {
		id.modern.Elicitation = &elicitation{Form: &struct{}{}, URL: &struct{}{}}
		id.legacy.Elicitation = &elicitation{Form: &struct{}{}, URL: &struct{}{}}
	}
	if o.Tasks {
		id.modern.Extensions = map[string]struct{}{extensionTasks: {}}
	}
	return id
}

// of is the _meta of a request that is about nothing in particular, nil when there
// is nothing to say.
func (id *identity) of(revision string) *meta {
	if revision != revisionModern {
		return nil
	}
	return &meta{Revision: revision, Client: &id.client, Capabilities: &id.modern}
}

// ofCall is the _meta of a call: the token by which progress finds it is its id.
func (id *identity) ofCall(revision string, call *Call, token int64) *meta {
	m := id.of(revision)
	if m == nil {
		m = &meta{}
	}
	m.Progress, m.Key, m.Traceparent = &token, call.Key, call.Traceparent
	return m
}

// The params of requests.
type (
	metaParams struct {
		Meta *meta `json:"_meta,omitempty"`
	}
	initializeParams struct {
		Revision     string       `json:"protocolVersion"`
		Capabilities capabilities `json:"capabilities"`
		Client       implement    `json:"clientInfo"`
	}
	listParams struct {
		Cursor string `json:"cursor,omitempty"`
		Meta   *meta  `json:"_meta,omitempty"`
	}
	callParams struct {
		Name      string           `json:"name"`
		Arguments json.RawMessage  `json:"arguments"`
		Replies   map[string]Reply `json:"inputResponses,omitempty"`
		State     json.RawMessage  `json:"requestState,omitempty"`
		Meta      *meta            `json:"_meta,omitempty"`
	}
	taskParams struct {
		Task    string           `json:"taskId"`
		Replies map[string]Reply `json:"inputResponses,omitempty"`
		Meta    *meta            `json:"_meta,omitempty"`
	}
	listenParams struct {
		Notifications listenTo `json:"notifications"`
		Meta          *meta    `json:"_meta,omitempty"`
	}
	listenTo struct {
		Tools bool `json:"toolsListChanged"`
	}
	cancelledParams struct {
		Request json.RawMessage `json:"requestId"`
		Reason  string          `json:"reason,omitempty"`
	}
)
