package events

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// MCPSubsystemType says what an MCP server is for; it is for people and filters.
type MCPSubsystemType string

// The seven types of subsystems.
const (
	MCPCompute     MCPSubsystemType = "compute"
	MCPStorage     MCPSubsystemType = "storage"
	MCPAnalytics   MCPSubsystemType = "analytics"
	MCPIntegration MCPSubsystemType = "integration"
	MCPWorkflow    MCPSubsystemType = "workflow"
	MCPUI          MCPSubsystemType = "ui"
	MCPAPI         MCPSubsystemType = "api"
)

// MCPSubsystemTypes lists the closed set.
func MCPSubsystemTypes() []MCPSubsystemType {
	return []MCPSubsystemType{MCPCompute, MCPStorage, MCPAnalytics, MCPIntegration, MCPWorkflow, MCPUI, MCPAPI}
}

// MCPToolType says what a tool is in the terms of MCP.
type MCPToolType string

// The five types of tools.
const (
	MCPFunction   MCPToolType = "function"
	MCPResource   MCPToolType = "resource"
	MCPPrompt     MCPToolType = "prompt"
	MCPSampling   MCPToolType = "sampling"
	MCPCompletion MCPToolType = "completion"
)

// MCPToolTypes lists the closed set.
func MCPToolTypes() []MCPToolType {
	return []MCPToolType{MCPFunction, MCPResource, MCPPrompt, MCPSampling, MCPCompletion}
}

// MCPTrust says whether a server's own hints about its tools decide anything.
type MCPTrust string

// The two degrees of trust.
const (
	MCPTrustNone        MCPTrust = "none"        // hints are shown, and decide nothing
	MCPTrustAnnotations MCPTrust = "annotations" // readOnlyHint and idempotentHint allow to repeat a call
)

// MCPTrusts lists the closed set.
func MCPTrusts() []MCPTrust { return []MCPTrust{MCPTrustNone, MCPTrustAnnotations} }

// Bounds of the records about MCP.
const (
	MaxSubsystemIDLength = 100
	MaxMCPTools          = 1000      // tools that a subsystem says something about, or offers
	MaxMCPToolName       = 512       // bytes
	MaxMCPDescription    = 64 << 10  // bytes of the description of a tool
	MaxMCPSchema         = 256 << 10 // bytes of each schema of a tool
	MaxMCPAnnotations    = 16 << 10  // bytes of JSON
	MaxMCPWeight         = 1000
	MaxMCPTags           = 50
	MaxMCPText           = 256 // bytes of a name, a version, a tag, an effect domain
	MaxMCPURL            = 2048
)

// Defaults of [MCPLimits]: a field that is 0 means these.
const (
	DefaultMCPIdle        = 60 * time.Second
	DefaultMCPCall        = 10 * time.Minute
	DefaultMCPResultBytes = 4 << 20
	DefaultMCPInFlight    = 16
	// MaxMCPResultBytes is the most that one answer may take in memory.
	MaxMCPResultBytes = 64 << 20
	// MaxMCPCall is how long one attempt of a call may take.
	MaxMCPCall = 24 * time.Hour
)

// MCPSubsystem is an MCP server that executors may call, on the compacted topic
// mcp.subsystems under its id. A tombstone unregisters it. It holds no secret:
// Key says where an executor finds one.
type MCPSubsystem struct {
	SubsystemID string           `json:"subsystem_id"`
	Name        string           `json:"name"`
	Type        MCPSubsystemType `json:"type"`
	Version     string           `json:"version"` // of the server, as its operator names it
	Description string           `json:"description,omitempty"`
	Tags        []string         `json:"tags,omitempty"`

	HTTP  string  `json:"http,omitempty"`  // URL of a Streamable HTTP endpoint
	Stdio string  `json:"stdio,omitempty"` // or the name of a command that operators give to executors
	Key   *MCPKey `json:"key,omitempty"`   // for HTTP

	Trust   MCPTrust  `json:"trust"`
	Effects string    `json:"effects,omitempty"` // subsystems of one domain change the same things
	Weight  int32     `json:"weight"`            // share of the calls, 1 to MaxMCPWeight
	Limits  MCPLimits `json:"limits"`

	Tools    []MCPToolPolicy `json:"tools,omitempty"`    // in the order of their names
	Approved []MCPApproval   `json:"approved,omitempty"` // in the order of the tools' names

	RegisteredAt time.Time `json:"registered_at"`
	UpdatedAt    time.Time `json:"updated_at"`
	UpdatedBy    string    `json:"updated_by,omitempty"`
}

// MCPKey says where an executor reads the key of a subsystem: exactly one of Env
// and File. It is read again for each connection.
type MCPKey struct {
	Env    string `json:"env,omitempty"`    // variable of the executor's environment
	File   string `json:"file,omitempty"`   // absolute path on the executor's machine
	Header string `json:"header,omitempty"` // that carries the key as it is; "" is Authorization: Bearer
}

// MCPLimits bounds every call of a subsystem. 0 is the default.
type MCPLimits struct {
	Idle        time.Duration `json:"idle,omitempty"`         // without progress
	Call        time.Duration `json:"call,omitempty"`         // in all
	ResultBytes int64         `json:"result_bytes,omitempty"` // of one answer
	InFlight    int32         `json:"in_flight,omitempty"`    // calls at once, of one executor
	PerSecond   int32         `json:"per_second,omitempty"`   // calls that begin, of one executor; 0 is no limit
}

// OrDefaults is the limits with nothing left at 0 but PerSecond.
func (l MCPLimits) OrDefaults() MCPLimits {
	l.Idle, l.Call = cmp.Or(l.Idle, DefaultMCPIdle), cmp.Or(l.Call, DefaultMCPCall)
	l.ResultBytes, l.InFlight = cmp.Or(l.ResultBytes, DefaultMCPResultBytes), cmp.Or(l.InFlight, DefaultMCPInFlight)
	return l
}

// MCPToolPolicy is what the operator says of one tool. Repeat says whether a call
// whose outcome is unknown may be made again: "never", "safe", or "key:ARGUMENT",
// when the tool recognises a repeated call by the idempotency key in that argument.
// "" leaves it to the hints of a trusted server.
type MCPToolPolicy struct {
	Name         string      `json:"name"`
	Repeat       string      `json:"repeat,omitempty"`
	Type         MCPToolType `json:"type,omitempty"` // "" is function
	Capabilities []string    `json:"capabilities,omitempty"`
}

// The values of MCPToolPolicy.Repeat; MCPRepeatKey precedes an argument's name.
const (
	MCPRepeatNever = "never"
	MCPRepeatSafe  = "safe"
	MCPRepeatKey   = "key:"
)

// MCPApproval says that somebody has seen a tool as the pin names it.
type MCPApproval struct {
	Name string    `json:"name"`
	Pin  string    `json:"pin"`
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"`
}

// MCPTool is a tool as a server described it, on the compacted topic mcp.tools
// under the subsystem and the pin: the same description is the same record,
// whoever saw it.
type MCPTool struct {
	SubsystemID  string          `json:"subsystem_id"`
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema"`
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
	Annotations  json.RawMessage `json:"annotations,omitempty"`
	Pin          string          `json:"pin"`
	SeenAt       time.Time       `json:"seen_at"`
	SeenBy       string          `json:"seen_by"` // node id
}

// Key is the record key on mcp.tools.
func (t *MCPTool) Key() string { return t.SubsystemID + "/" + t.Pin }

// ComputePin is the SHA-256 over what an approval is for: name, description,
// schemas and annotations, as JSON without white space whose keys are in order
// and whose numbers are as the server wrote them. The error is that of a part
// that is not JSON.
func (t *MCPTool) ComputePin() (string, error) {
	text := appendText(nil, `{"name":`, t.Name)
	text = appendText(text, `,"description":`, t.Description)
	for _, part := range []struct {
		name string
		text json.RawMessage
	}{{"inputSchema", t.InputSchema}, {"outputSchema", t.OutputSchema}, {"annotations", t.Annotations}} {
		if part.text == nil {
			continue
		}
		var err error
		if text, err = AppendCanonicalJSON(append(text, `,"`+part.name+`":`...), part.text); err != nil {
			return "", fieldErrorf(part.name, "is not JSON: %v", err)
		}
	}
	sum := sha256.Sum256(append(text, '}'))
	return hex.EncodeToString(sum[:]), nil
}

func appendText(dst []byte, before, value string) []byte {
	text, _ := EncodeJSON(value) // a text cannot fail
	return append(append(dst, before...), text...)
}

// AppendCanonicalJSON writes a JSON value behind dst without white space, with the
// keys of each object in order (of a repeated one the last counts) and numbers as
// they are written. The error is that of text that is not one JSON value.
func AppendCanonicalJSON(dst, text []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return dst, err
	}
	if !json.Valid(text) { // more than one value
		return dst, fieldErrorf("", "is more than one JSON value")
	}
	out, err := EncodeJSON(value) // which sorts the keys of maps
	return append(dst, out...), err
}

// CheckSubsystemID holds `^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`.
func CheckSubsystemID(field, id string) error { return CheckScheduleID(field, id) }

// CheckToolName refuses what no server may call a tool: nothing, more than
// MaxMCPToolName bytes, and control characters.
func CheckToolName(field, name string) error {
	switch {
	case name == "":
		return fieldErrorf(field, "is missing")
	case len(name) > MaxMCPToolName:
		return fieldErrorf(field, "is %d bytes, at most %d", len(name), MaxMCPToolName)
	case !utf8.ValidString(name) || name != Show(name):
		return fieldErrorf(field, "%q has characters that are not seen", clip(name))
	}
	return nil
}

// SplitTool takes SUBSYSTEM/TOOL apart; ok is false without a slash. The name of a
// tool may have slashes, the id of a subsystem has none.
func SplitTool(text string) (subsystem, tool string, ok bool) { return strings.Cut(text, "/") }

// Approval is the approval of a tool.
func (s *MCPSubsystem) Approval(tool string) (MCPApproval, bool) {
	i, ok := slices.BinarySearchFunc(s.Approved, tool, func(a MCPApproval, name string) int { return strings.Compare(a.Name, name) })
	if !ok {
		return MCPApproval{}, false
	}
	return s.Approved[i], true
}

// Policy is what the operator says of a tool, with its defaults.
func (s *MCPSubsystem) Policy(tool string) MCPToolPolicy {
	p := MCPToolPolicy{Name: tool}
	if i, ok := slices.BinarySearchFunc(s.Tools, tool, func(t MCPToolPolicy, name string) int { return strings.Compare(t.Name, name) }); ok {
		p = s.Tools[i]
	}
	p.Type = cmp.Or(p.Type, MCPFunction)
	return p
}
