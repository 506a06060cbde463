package events

import "time"

// HealthStatus says how something that is watched is.
type HealthStatus string

// The 12 health statuses.
const (
	HealthHealthy      HealthStatus = "healthy"
	HealthDegraded     HealthStatus = "degraded"  // used, with a smaller share
	HealthUnhealthy    HealthStatus = "unhealthy" // answers, and fails too often
	HealthCritical     HealthStatus = "critical"  // breaks the protocol
	HealthUnknown      HealthStatus = "unknown"   // not looked at yet
	HealthWarning      HealthStatus = "warning"   // used; something failed lately
	HealthUnreachable  HealthStatus = "unreachable"
	HealthAvailable    HealthStatus = "available"   // answers; nothing was called yet
	HealthUnavailable  HealthStatus = "unavailable" // reachable, and does not let us in
	HealthInitializing HealthStatus = "initializing"
	HealthDisposing    HealthStatus = "disposing"
	HealthError        HealthStatus = "error" // cannot be used as it is configured
)

// HealthStatuses lists the closed set.
func HealthStatuses() []HealthStatus {
	return []HealthStatus{
		HealthHealthy, HealthDegraded, HealthUnhealthy, HealthCritical, HealthUnknown, HealthWarning, HealthUnreachable,
		HealthAvailable, HealthUnavailable, HealthInitializing, HealthDisposing, HealthError,
	}
}

// Routable reports whether work goes there: healthy, available, warning and
// degraded.
func (h HealthStatus) Routable() bool {
	switch h {
	case HealthHealthy, HealthAvailable, HealthWarning, HealthDegraded:
		return true
	default:
		return false
	}
}

// MCPLifecycleState is where an executor is with a subsystem.
type MCPLifecycleState string

// The seven lifecycle states.
const (
	MCPInitializing MCPLifecycleState = "initializing" // its tools are not known yet
	MCPActive       MCPLifecycleState = "active"       // it is used
	MCPIdle         MCPLifecycleState = "idle"         // it could be used, and is not
	MCPBusy         MCPLifecycleState = "busy"         // it takes no more calls at the moment
	MCPDegraded     MCPLifecycleState = "degraded"     // it gets fewer calls, or none
	MCPShuttingDown MCPLifecycleState = "shutting_down"
	MCPTerminated   MCPLifecycleState = "terminated"
)

// MCPLifecycleStates lists the closed set.
func MCPLifecycleStates() []MCPLifecycleState {
	return []MCPLifecycleState{MCPInitializing, MCPActive, MCPIdle, MCPBusy, MCPDegraded, MCPShuttingDown, MCPTerminated}
}

// MCPConnectionStatus is how an executor is connected with a subsystem.
type MCPConnectionStatus string

// The four connection statuses.
const (
	MCPConnected    MCPConnectionStatus = "connected"
	MCPDisconnected MCPConnectionStatus = "disconnected"
	MCPConnecting   MCPConnectionStatus = "connecting"
	MCPConnError    MCPConnectionStatus = "error"
)

// MCPConnectionStatuses lists the closed set.
func MCPConnectionStatuses() []MCPConnectionStatus {
	return []MCPConnectionStatus{MCPConnected, MCPDisconnected, MCPConnecting, MCPConnError}
}

// CircuitBreakerState says whether calls are let through.
type CircuitBreakerState string

// The three states of a breaker.
const (
	BreakerClosed   CircuitBreakerState = "closed"    // calls go through
	BreakerOpen     CircuitBreakerState = "open"      // none does
	BreakerHalfOpen CircuitBreakerState = "half_open" // one does, on trial
)

// CircuitBreakerStates lists the closed set.
func CircuitBreakerStates() []CircuitBreakerState {
	return []CircuitBreakerState{BreakerClosed, BreakerOpen, BreakerHalfOpen}
}

// MCPReason says in one word why a subsystem is as its health record says.
type MCPReason string

// The reasons.
const (
	MCPReasonNone            MCPReason = "none"
	MCPReasonStarting        MCPReason = "starting"
	MCPReasonNotAllowed      MCPReason = "not_allowed"     // http: outside of --mcp-allow
	MCPReasonNoCommand       MCPReason = "no_command"      // stdio: the executor has no such command
	MCPReasonKeyMissing      MCPReason = "key_missing"     // the executor has no such variable or file
	MCPReasonUnauthenticated MCPReason = "unauthenticated" // the server refuses the key
	MCPReasonUnreachable     MCPReason = "unreachable"
	MCPReasonProbeFailed     MCPReason = "probe_failed"
	MCPReasonCallsFailed     MCPReason = "calls_failed"
	MCPReasonBreakerOpen     MCPReason = "breaker_open"
	MCPReasonTrial           MCPReason = "trial" // one call is let through
	MCPReasonBusy            MCPReason = "busy"  // the server, or a limit, says not now
	MCPReasonProtocol        MCPReason = "protocol"
	MCPReasonToolsRefused    MCPReason = "tools_refused" // some of its tools cannot be used
	MCPReasonRecovering      MCPReason = "recovering"
	MCPReasonStopping        MCPReason = "stopping"
	MCPReasonUnregistered    MCPReason = "unregistered"
)

// MCPReasons lists the closed set.
func MCPReasons() []MCPReason {
	return []MCPReason{
		MCPReasonNone, MCPReasonStarting, MCPReasonNotAllowed, MCPReasonNoCommand, MCPReasonKeyMissing, MCPReasonUnauthenticated,
		MCPReasonUnreachable, MCPReasonProbeFailed, MCPReasonCallsFailed, MCPReasonBreakerOpen, MCPReasonTrial, MCPReasonBusy,
		MCPReasonProtocol, MCPReasonToolsRefused, MCPReasonRecovering, MCPReasonStopping, MCPReasonUnregistered,
	}
}

// MCPHealth is a subsystem as one executor sees it, on the compacted topic
// mcp.health under subsystem id, slash, node id. It is written when something
// changes and at least every MCPHealthEvery; a tombstone means that the executor
// has nothing to do with the subsystem any more.
type MCPHealth struct {
	SubsystemID string              `json:"subsystem_id"`
	NodeID      string              `json:"node_id"`
	Lifecycle   MCPLifecycleState   `json:"lifecycle"`
	Connection  MCPConnectionStatus `json:"connection"`
	Health      HealthStatus        `json:"health"`
	Breaker     CircuitBreakerState `json:"breaker"`
	Reason      MCPReason           `json:"reason"`
	Message     string              `json:"message,omitempty"`
	Since       time.Time           `json:"since"` // of the newest change of the five above

	Protocol      string        `json:"protocol,omitempty"` // revision of MCP that is spoken
	ServerName    string        `json:"server_name,omitempty"`
	ServerVersion string        `json:"server_version,omitempty"`
	KeyHash       string        `json:"key_hash,omitempty"` // SHA-256 of the key that is used
	Tools         []MCPOffer    `json:"tools,omitempty"`    // that the server lists, in the order of their names
	Refused       []MCPRefusal  `json:"refused,omitempty"`  // listed, and unusable
	ResponseTime  time.Duration `json:"response_time,omitempty"`
	CheckedAt     time.Time     `json:"checked_at,omitzero"` // by the newest probe
	UpdatedAt     time.Time     `json:"updated_at"`
	ValidUntil    time.Time     `json:"valid_until"` // afterwards the executor is gone
}

// MCPOffer is a tool that a server lists. Its description is on mcp.tools.
type MCPOffer struct {
	Name string `json:"name"`
	Pin  string `json:"pin"`
}

// MCPRefusal is a tool that a server lists and that cannot be used.
type MCPRefusal struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// How often a record of mcp.health is written anew although nothing changed, and
// how long one counts.
const (
	MCPHealthEvery = time.Minute
	MCPHealthValid = 3 * time.Minute
	// MaxMCPRefused is how many refused tools a record names.
	MaxMCPRefused = 100
)

// Key is the record key on mcp.health.
func (h *MCPHealth) Key() string { return h.SubsystemID + "/" + h.NodeID }

// Validate checks every field.
func (h *MCPHealth) Validate() error {
	if err := firstError(
		CheckSubsystemID("subsystem_id", h.SubsystemID),
		checkName("node_id", h.NodeID),
		checkEnum("lifecycle", h.Lifecycle, MCPLifecycleStates()),
		checkEnum("connection", h.Connection, MCPConnectionStatuses()),
		checkEnum("health", h.Health, HealthStatuses()),
		checkEnum("breaker", h.Breaker, CircuitBreakerStates()),
		checkEnum("reason", h.Reason, MCPReasons()),
		checkLength("message", h.Message, MaxMessageLength),
		checkTime("since", h.Since),
		checkLength("protocol", h.Protocol, MaxMCPText),
		checkLength("server_name", h.ServerName, MaxMCPText),
		checkLength("server_version", h.ServerVersion, MaxMCPText),
		checkTime("updated_at", h.UpdatedAt),
		checkTime("valid_until", h.ValidUntil),
	); err != nil {
		return err
	}
	if h.KeyHash != "" {
		if err := CheckPin("key_hash", h.KeyHash); err != nil {
			return err
		}
	}
	return h.checkTools()
}

func (h *MCPHealth) checkTools() error {
	if len(h.Tools) > MaxMCPTools || len(h.Refused) > MaxMCPRefused {
		return fieldErrorf("tools", "has %d items and refused %d, at most %d and %d", len(h.Tools), len(h.Refused), MaxMCPTools, MaxMCPRefused)
	}
	for i, t := range h.Tools {
		if i > 0 && h.Tools[i-1].Name >= t.Name {
			return fieldErrorf("tools", "is not in the order of the names")
		}
		if err := firstError(CheckToolName("tools.name", t.Name), CheckPin("tools.pin", t.Pin)); err != nil {
			return err
		}
	}
	for _, r := range h.Refused {
		if err := firstError(checkLength("refused.name", r.Name, MaxNameLength), checkLength("refused.message", r.Message, MaxMessageLength)); err != nil {
			return err
		}
	}
	return nil
}
