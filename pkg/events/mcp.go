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
	MaxMCPToolName       = 128       // bytes
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

// Validate checks every field by itself. Problems says whether they fit together.
func (s *MCPSubsystem) Validate() error { return firstError(s.fieldProblems()...) }

// Problems lists every field that is wrong or does not fit to another, with the
// path as it is on the wire. The errors are of type *[FieldError]. Executors do
// not use a subsystem that has any.
func (s *MCPSubsystem) Problems() (all []error) {
	for _, err := range slices.Concat(s.fieldProblems(), s.reachProblems(), s.keyProblems()) {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

func (s *MCPSubsystem) fieldProblems() []error {
	return slices.Concat(s.identityProblems(), s.limitProblems(), s.toolProblems(), []error{
		checkTime("registered_at", s.RegisteredAt), checkTime("updated_at", s.UpdatedAt),
	})
}

func (s *MCPSubsystem) identityProblems() []error {
	all := []error{
		CheckSubsystemID("subsystem_id", s.SubsystemID),
		checkShort("name", s.Name, true),
		checkEnum("type", s.Type, MCPSubsystemTypes()),
		checkShort("version", s.Version, true),
		checkLength("description", s.Description, MaxMCPDescription),
		checkEnum("trust", s.Trust, MCPTrusts()),
		checkShort("effects", s.Effects, false),
		checkRange("weight", int64(s.Weight), 1, MaxMCPWeight),
	}
	return append(all, checkTags("tags", s.Tags)...)
}

func checkTags(field string, tags []string) (all []error) {
	if len(tags) > MaxMCPTags {
		all = append(all, fieldErrorf(field, "has %d items, at most %d", len(tags), MaxMCPTags))
	}
	for _, tag := range tags {
		all = append(all, checkShort(field, tag, true))
	}
	return all
}

func checkShort(field, value string, required bool) error {
	switch {
	case value == "" && required:
		return fieldErrorf(field, "is missing")
	case len(value) > MaxMCPText:
		return fieldErrorf(field, "is %d bytes, at most %d", len(value), MaxMCPText)
	case value != Show(value):
		return fieldErrorf(field, "%q has characters that are not seen", clip(value))
	}
	return nil
}

func checkRange(field string, n, least, most int64) error {
	if n < least || n > most {
		return fieldErrorf(field, "is %d, want %d to %d", n, least, most)
	}
	return nil
}

// reachProblems are those of the one address that a subsystem has.
func (s *MCPSubsystem) reachProblems() []error {
	switch {
	case s.HTTP == "" && s.Stdio == "":
		return []error{fieldErrorf("http", "is missing, and so is stdio: one of them says how the server is reached")}
	case s.HTTP != "" && s.Stdio != "":
		return []error{fieldErrorf("stdio", "and http are both given: a server is reached in one way")}
	case s.Stdio != "":
		return []error{CheckSubsystemID("stdio", s.Stdio)}
	}
	scheme, host, rest := splitURL(s.HTTP)
	switch {
	case len(s.HTTP) > MaxMCPURL:
		return []error{fieldErrorf("http", "is %d bytes, at most %d", len(s.HTTP), MaxMCPURL)}
	case strings.Contains(host, "@"):
		return []error{fieldErrorf("http", "holds a user name or a password: topics hold no secrets, give a key")}
	case scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(s.HTTP, " \\\"<>") || s.HTTP != Show(s.HTTP):
		return []error{fieldErrorf("http", "is not a URL such as https://tools.example.com/mcp")}
	case strings.Contains(rest, "#"):
		return []error{fieldErrorf("http", "has a fragment, which no server sees")}
	}
	return nil
}

// splitURL is the scheme of a URL, its host with the port, and what follows. It
// is here and not net/url's, because this package does no I/O and imports none.
func splitURL(text string) (scheme, host, rest string) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", "", text
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return strings.ToLower(scheme), rest[:end], rest[end:]
}

// keyProblems are those of a key that an executor must not or cannot use.
func (s *MCPSubsystem) keyProblems() (all []error) {
	if s.Key == nil {
		return nil
	}
	k := s.Key
	switch {
	case s.Stdio != "":
		return []error{fieldErrorf("key", "is for http: the environment of a command is given to the executor (--mcp-env %s=VAR=value)", s.Stdio)}
	case (k.Env == "") == (k.File == ""):
		return []error{fieldErrorf("key", "is either env or file: the name of a variable, or a path, of the executor")}
	case k.Env != "":
		all = append(all, checkVariable("key.env", k.Env))
	default:
		all = append(all, checkPath("key.file", k.File))
	}
	all = append(all, checkHeader("key.header", k.Header))
	if scheme, host, _ := splitURL(s.HTTP); scheme == "http" && !loopback(host) {
		all = append(all, fieldErrorf("key", "would be sent in clear text to %s: use https", clip(host)))
	}
	return all
}

// checkVariable refuses the variables that hold the engine's own secrets.
func checkVariable(field, name string) error {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return fieldErrorf(field, "%q is not the name of a variable", clip(name))
		}
	}
	for _, own := range []string{"KAFKA_", "LEAT_"} {
		if strings.HasPrefix(strings.ToUpper(name), own) {
			return fieldErrorf(field, "%q is a setting of the executor itself, which no server gets", clip(name))
		}
	}
	return checkLength(field, name, MaxMCPText)
}

func checkPath(field, path string) error {
	switch {
	case len(path) > MaxMCPURL:
		return fieldErrorf(field, "is %d bytes, at most %d", len(path), MaxMCPURL)
	case !strings.HasPrefix(path, "/") && !(len(path) > 2 && path[1] == ':'):
		return fieldErrorf(field, "is not an absolute path")
	case slices.Contains(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }), ".."):
		return fieldErrorf(field, "has ..")
	case path != Show(path):
		return fieldErrorf(field, "has characters that are not seen")
	}
	return nil
}

// checkHeader refuses what is not the name of a header, and those that the
// protocol needs.
func checkHeader(field, name string) error {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return fieldErrorf(field, "%q is not the name of a header", clip(name))
		}
	}
	lower := strings.ToLower(name)
	for _, taken := range []string{"host", "cookie", "content-", "accept", "connection", "transfer-", "mcp-", "te", "upgrade", "idempotency-key", "x-idempotency-key"} {
		if lower == taken || strings.HasSuffix(taken, "-") && strings.HasPrefix(lower, taken) {
			return fieldErrorf(field, "%q is for the protocol", clip(name))
		}
	}
	return checkLength(field, name, MaxMCPText)
}

// loopback reports whether a host, with or without a port, is this machine.
func loopback(host string) bool {
	name := host
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		name = host[:at]
	}
	octets := strings.Split(name, ".")
	numeric := len(octets) == 4 && strings.Trim(name, "0123456789.") == ""
	return name == "localhost" || name == "[::1]" || numeric && octets[0] == "127"
}

func (s *MCPSubsystem) limitProblems() []error {
	l := s.Limits
	return []error{
		checkRange("limits.idle_ms", l.Idle.Milliseconds(), 0, MaxMCPCall.Milliseconds()),
		checkRange("limits.call_ms", l.Call.Milliseconds(), 0, MaxMCPCall.Milliseconds()),
		checkRange("limits.result_bytes", l.ResultBytes, 0, MaxMCPResultBytes),
		checkRange("limits.in_flight", int64(l.InFlight), 0, 10_000),
		checkRange("limits.per_second", int64(l.PerSecond), 0, 1_000_000),
	}
}

func (s *MCPSubsystem) toolProblems() (all []error) {
	if n := max(len(s.Tools), len(s.Approved)); n > MaxMCPTools {
		return []error{fieldErrorf("tools", "has %d items, at most %d", n, MaxMCPTools)}
	}
	for i := range s.Tools {
		t := &s.Tools[i]
		field := "tools." + clip(t.Name)
		if i > 0 && s.Tools[i-1].Name >= t.Name {
			all = append(all, fieldErrorf(field, "is there twice, or not in the order of the names"))
		}
		all = append(all, CheckToolName("tools", t.Name), checkRepeat(field+".repeat", t.Repeat), checkOptionalEnum(field+".type", t.Type, MCPToolTypes()))
		all = append(all, checkTags(field+".capabilities", t.Capabilities)...)
	}
	for i, a := range s.Approved {
		if i > 0 && s.Approved[i-1].Name >= a.Name {
			all = append(all, fieldErrorf("approved", "is not in the order of the names"))
		}
		all = append(all, CheckToolName("approved.name", a.Name), CheckPin("approved.pin", a.Pin), checkTime("approved.at", a.At))
	}
	return all
}

func checkRepeat(field, repeat string) error {
	argument, key := strings.CutPrefix(repeat, MCPRepeatKey)
	switch {
	case repeat == "" || repeat == MCPRepeatNever || repeat == MCPRepeatSafe:
		return nil
	case key && argument != "":
		return checkShort(field, argument, true)
	}
	return fieldErrorf(field, "%q is none of never, safe and key:ARGUMENT", clip(repeat))
}

// CheckPin holds `^[0-9a-f]{64}$`.
func CheckPin(field, pin string) error {
	if len(pin) != hex.EncodedLen(sha256.Size) || strings.Trim(pin, "0123456789abcdef") != "" {
		return fieldErrorf(field, "%q is not a SHA-256 in 64 hexadecimal digits", clip(pin))
	}
	return nil
}

// Validate checks every field, and that the pin is that of the rest.
func (t *MCPTool) Validate() error {
	if err := firstError(
		CheckSubsystemID("subsystem_id", t.SubsystemID),
		CheckToolName("name", t.Name),
		checkLength("description", t.Description, MaxMCPDescription),
		checkPart("input_schema", t.InputSchema, MaxMCPSchema),
		checkPart("output_schema", t.OutputSchema, MaxMCPSchema),
		checkPart("annotations", t.Annotations, MaxMCPAnnotations),
		checkTime("seen_at", t.SeenAt),
		checkName("seen_by", t.SeenBy),
	); err != nil {
		return err
	}
	if t.InputSchema == nil {
		return fieldErrorf("input_schema", "is missing")
	}
	if pin, err := t.ComputePin(); err != nil || pin != t.Pin {
		return fieldErrorf("pin", "is not that of the tool")
	}
	return nil
}

func checkPart(field string, text json.RawMessage, most int) error {
	return firstError(checkLength(field, string(text), most), checkJSON(field, text))
}

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
