package avro

import "github.com/leat-io/leat/pkg/events"

// EncodeSubsystem writes an MCP server.
func EncodeSubsystem(s *events.MCPSubsystem) ([]byte, error) {
	return encodeValid("subsystem", subsystem, s)
}

// AppendSubsystem writes an MCP server behind dst.
func AppendSubsystem(dst []byte, s *events.MCPSubsystem) ([]byte, error) {
	return appendValid(dst, "subsystem", subsystem, s)
}

// DecodeSubsystem reads an MCP server.
func DecodeSubsystem(single []byte) (events.MCPSubsystem, error) {
	return decodeValid(single, "subsystem", subsystem)
}

// EncodeTool writes a tool of an MCP server.
func EncodeTool(t *events.MCPTool) ([]byte, error) { return encodeValid("tool", tool, t) }

// AppendTool writes a tool behind dst.
func AppendTool(dst []byte, t *events.MCPTool) ([]byte, error) {
	return appendValid(dst, "tool", tool, t)
}

// DecodeTool reads a tool of an MCP server.
func DecodeTool(single []byte) (events.MCPTool, error) { return decodeValid(single, "tool", tool) }

// EncodeHealth writes how an executor sees an MCP server.
func EncodeHealth(h *events.MCPHealth) ([]byte, error) { return encodeValid("health", health, h) }

// AppendHealth writes how an executor sees an MCP server behind dst.
func AppendHealth(dst []byte, h *events.MCPHealth) ([]byte, error) {
	return appendValid(dst, "health", health, h)
}

// DecodeHealth reads how an executor sees an MCP server.
func DecodeHealth(single []byte) (events.MCPHealth, error) {
	return decodeValid(single, "health", health)
}

func subsystem(c *codec, s *events.MCPSubsystem) {
	c.str("subsystem_id", &s.SubsystemID)
	c.str("name", &s.Name)
	enum(c, "type", &s.Type, &subsystemTypes)
	c.str("version", &s.Version)
	c.optStr("description", &s.Description)
	c.strs("tags", &s.Tags)
	c.optStr("http", &s.HTTP)
	c.optStr("stdio", &s.Stdio)
	optRecord(c, "key", &s.Key, mcpKey)
	enum(c, "trust", &s.Trust, &trusts)
	c.optStr("effects", &s.Effects)
	c.int("weight", &s.Weight)
	c.enter("limits")
	c.millis("idle_ms", &s.Limits.Idle)
	c.millis("call_ms", &s.Limits.Call)
	c.long("result_bytes", &s.Limits.ResultBytes)
	c.int("in_flight", &s.Limits.InFlight)
	c.int("per_second", &s.Limits.PerSecond)
	c.leave()
	list(c, "tools", &s.Tools, toolPolicy)
	list(c, "approved", &s.Approved, approval)
	c.time("registered_at", &s.RegisteredAt)
	c.time("updated_at", &s.UpdatedAt)
	c.optStr("updated_by", &s.UpdatedBy)
}

func mcpKey(c *codec, k *events.MCPKey) {
	c.optStr("env", &k.Env)
	c.optStr("file", &k.File)
	c.optStr("header", &k.Header)
}

func toolPolicy(c *codec, t *events.MCPToolPolicy) {
	c.str("name", &t.Name)
	c.optStr("repeat", &t.Repeat)
	optEnum(c, "type", &t.Type, &toolTypes)
	c.strs("capabilities", &t.Capabilities)
}

func approval(c *codec, a *events.MCPApproval) {
	c.str("name", &a.Name)
	c.str("pin", &a.Pin)
	c.time("at", &a.At)
	c.optStr("by", &a.By)
}

func tool(c *codec, t *events.MCPTool) {
	c.str("subsystem_id", &t.SubsystemID)
	c.str("name", &t.Name)
	c.str("description", &t.Description)
	c.payload("input_schema", &t.InputSchema)
	c.payload("output_schema", &t.OutputSchema)
	c.payload("annotations", &t.Annotations)
	c.str("pin", &t.Pin)
	c.time("seen_at", &t.SeenAt)
	c.str("seen_by", &t.SeenBy)
}

func health(c *codec, h *events.MCPHealth) {
	c.str("subsystem_id", &h.SubsystemID)
	c.str("node_id", &h.NodeID)
	enum(c, "lifecycle", &h.Lifecycle, &lifecycles)
	enum(c, "connection", &h.Connection, &connections)
	enum(c, "health", &h.Health, &healthStatuses)
	enum(c, "breaker", &h.Breaker, &breakerStates)
	enum(c, "reason", &h.Reason, &mcpReasons)
	c.optStr("message", &h.Message)
	c.time("since", &h.Since)
	c.optStr("protocol", &h.Protocol)
	c.optStr("server_name", &h.ServerName)
	c.optStr("server_version", &h.ServerVersion)
	c.optStr("key_hash", &h.KeyHash)
	list(c, "tools", &h.Tools, offer)
	list(c, "refused", &h.Refused, refusal)
	c.millis("response_time_ms", &h.ResponseTime)
	c.optTime("checked_at", &h.CheckedAt)
	c.time("updated_at", &h.UpdatedAt)
	c.time("valid_until", &h.ValidUntil)
}

func offer(c *codec, o *events.MCPOffer) {
	c.str("name", &o.Name)
	c.str("pin", &o.Pin)
}

func refusal(c *codec, r *events.MCPRefusal) {
	c.str("name", &r.Name)
	c.str("message", &r.Message)
}
