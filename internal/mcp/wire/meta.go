package wire

import "encoding/json"

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
