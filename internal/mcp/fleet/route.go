package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/routing"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// The codes of calls that go nowhere. The others are wire's.
const (
	CodeUnknownTool = "MCP_UNKNOWN_TOOL"
	CodeNotApproved = "MCP_NOT_APPROVED"
)

// Want is a call that looks for a server.
type Want struct {
	Tool      string
	Subsystem string         // that goes first
	Require   bool           // and is the only one
	Policy    routing.Policy // default: the fleet's
	Exclude   []string       // subsystems that were tried
}

// Offer is a server that may take the call, with the tool as it was approved.
type Offer struct {
	Subsystem events.MCPSubsystem // not to be changed
	Tool      *wire.Tool
	Pin       string
	Repeat    Repeat
	Limits    wire.Limits

	server *server
	tool   *tool
}

// Repeat says whether a call whose outcome is unknown may be made again.
type Repeat struct {
	May      bool
	Argument string // that takes the idempotency key; "" for none
	ReadOnly bool   // a trusted server says that the tool changes nothing
}

// MayFailOver reports whether a call of unknown outcome may be made at another
// server: when it changes nothing, or may be repeated and both change the same.
func (o *Offer) MayFailOver(to *Offer) bool {
	if o.Repeat.ReadOnly && to.Repeat.ReadOnly {
		return true
	}
	return o.Repeat.May && to.Repeat.May && o.Repeat.Argument == to.Repeat.Argument && o.Subsystem.Effects != "" && o.Subsystem.Effects == to.Subsystem.Effects
}

// Refusal is why a call goes nowhere. Nothing was sent.
type Refusal struct { //nolint:errname // it is an answer, and no fault
	Code    string // MCP_UNKNOWN_TOOL, MCP_NOT_APPROVED, MCP_UNAUTHORIZED, MCP_BUSY or MCP_UNAVAILABLE
	Message string
	// RetryAfter is when it may go there; 0 for unknown.
	RetryAfter time.Duration
	// Elsewhere are other nodes that could take the call, as far as their health
	// records say.
	Elsewhere []string
}

// Error says why.
func (r *Refusal) Error() string { return r.Message }

// Route lists the servers that may take a call now, in the order in which they are
// to be tried. A call that finds none waits a little for servers that are being
// looked at for the first time. The error is a [*Refusal], or that of ctx.
func (f *Fleet) Route(ctx context.Context, w Want) ([]Offer, error) {
	limit := time.NewTimer(settleTime)
	defer limit.Stop()
	for {
		f.mu.Lock()
		offers, starting, settled := f.offers(w)
		f.mu.Unlock()
		if len(offers) > 0 {
			return offers, nil
		}
		if !starting && f.directory.Ready() == nil {
			return nil, f.refuse(w)
		}
		select {
		case <-settled:
		case <-limit.C:
			return nil, f.refuse(w)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// offers chooses. starting is true when a server that could take the call is not
// known yet. The lock is held.
func (f *Fleet) offers(w Want) (offers []Offer, starting bool, settled <-chan struct{}) {
	now := time.Now()
	var approving []string
	f.directory.View(func(c *catalog.Catalog) { approving = c.Approving(w.Tool) })
	var all []routing.Candidate
	byID := make(map[string]Offer, len(approving))
	for _, id := range approving {
		s := f.servers[id]
		if s == nil {
			continue
		}
		candidate, offer, young := s.candidate(w.Tool, now)
		starting = starting || young && (!w.Require || id == w.Subsystem) && !slices.Contains(w.Exclude, id)
		all = append(all, candidate)
		byID[id] = offer
	}
	rotor := f.rotors[w.Tool]
	if rotor == nil && len(all) > 0 {
		rotor = new(routing.Rotor)
		f.rotors[w.Tool] = rotor
	}
	if rotor != nil {
		policy := w.Policy
		if policy == "" {
			policy = f.config.Policy
		}
		for _, c := range rotor.Choose(routing.Request{Policy: policy, Prefer: w.Subsystem, Require: w.Require, Exclude: w.Exclude}, all) {
			offers = append(offers, byID[c.ID])
		}
	}
	return offers, starting && !f.ended, f.settled
}

// candidate is the server as routing sees it. young is true while nothing is known.
func (s *server) candidate(name string, now time.Time) (c routing.Candidate, o Offer, young bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.monitor.State(now)
	c = routing.Candidate{
		ID: s.record.SubsystemID, Weight: int(s.record.Weight), InFlight: s.monitor.InFlight(),
		Degraded: state.Health == events.HealthDegraded || state.Health == events.HealthWarning,
	}
	young = state.Health == events.HealthUnknown || state.Health == events.HealthInitializing
	t := s.offers[name]
	approval, approved := s.record.Approval(name)
	if t == nil || !approved || approval.Pin != t.record.Pin || s.conn == nil {
		return c, o, young
	}
	c.Usable = s.monitor.Routable(now) && t.breaker.Ready(now)
	repeat := repeatOf(s.record.Policy(name), s.record.Trust, t.def.Annotations)
	return c, Offer{Subsystem: s.record, Tool: t.def, Pin: approval.Pin, Repeat: repeat, Limits: limitsOf(&s.record), server: s, tool: t}, young
}

// repeatOf is what the operator says of a tool, and else what a trusted server
// hints at.
func repeatOf(p events.MCPToolPolicy, trust events.MCPTrust, annotations json.RawMessage) (r Repeat) {
	var hints struct {
		ReadOnly   bool `json:"readOnlyHint"`
		Idempotent bool `json:"idempotentHint"`
	}
	if trust == events.MCPTrustAnnotations && annotations != nil {
		_ = json.Unmarshal(annotations, &hints) // hints that cannot be read are none
	}
	r.ReadOnly = hints.ReadOnly && p.Repeat != events.MCPRepeatNever
	argument, key := strings.CutPrefix(p.Repeat, events.MCPRepeatKey)
	switch {
	case p.Repeat == events.MCPRepeatNever:
	case key:
		r.May, r.Argument = true, argument
	case p.Repeat == events.MCPRepeatSafe:
		r.May = true
	default:
		r.May = hints.ReadOnly || hints.Idempotent
	}
	return r
}

// refuse says why no server takes a call.
func (f *Fleet) refuse(w Want) *Refusal {
	now := time.Now()
	if err := f.directory.Ready(); err != nil {
		return &Refusal{Code: wire.CodeUnavailable, Message: err.Error()}
	}
	var r *Refusal
	f.directory.View(func(c *catalog.Catalog) {
		r = f.refusal(c, w, now)
		if r.Code != CodeUnknownTool {
			r.Elsewhere = c.Serving(w.Tool, w.Subsystem, w.Require, f.config.NodeID, now)
		}
	})
	return r
}

func (f *Fleet) refusal(c *catalog.Catalog, w Want, now time.Time) *Refusal {
	if _, registered := c.Subsystem(w.Subsystem); w.Require && !registered {
		return &Refusal{Code: CodeUnknownTool, Message: fmt.Sprintf("there is no subsystem %q: leat mcp list shows those that are registered", w.Subsystem)}
	}
	var unapproved, listed, why []string
	code := wire.CodeUnauthorized
	for _, record := range c.Subsystems() {
		id := record.SubsystemID
		if w.Require && id != w.Subsystem {
			continue
		}
		rows := c.Rows(id, now)
		i := slices.IndexFunc(rows, func(r catalog.Row) bool { return r.Name == w.Tool })
		if i < 0 {
			continue
		}
		switch row := rows[i]; {
		case row.Status == catalog.StatusRefused:
			why = append(why, id+": the tool cannot be used: "+row.Message)
			code = wire.CodeUnavailable
			listed = append(listed, id)
		case row.Pending() && !f.has(id, w.Tool):
			unapproved = append(unapproved, id+"/"+w.Tool)
		default:
			listed = append(listed, id)
			reason, text := f.state(id, w.Tool, now)
			if reason != events.MCPReasonUnauthenticated {
				code = wire.CodeUnavailable
			}
			why = append(why, id+": "+text)
		}
	}
	switch {
	case len(listed) == 0 && len(unapproved) > 0:
		return &Refusal{Code: CodeNotApproved, Message: fmt.Sprintf("tool %q is not approved as it is now: leat mcp approve %s", w.Tool, strings.Join(unapproved, " "))}
	case len(listed) == 0:
		return &Refusal{Code: CodeUnknownTool, Message: fmt.Sprintf("no subsystem offers the tool %q%s: leat mcp tools lists those that are offered", w.Tool, requiredOf(w))}
	}
	return &Refusal{Code: code, Message: fmt.Sprintf("no subsystem that offers %q takes calls here now: %s", w.Tool, events.Cut(strings.Join(why, "; "), events.MaxMessageLength/2))}
}

func requiredOf(w Want) string {
	if w.Require {
		return " (only " + w.Subsystem + " is asked)"
	}
	return ""
}

// has reports whether a server lists a tool here as it was approved.
func (f *Fleet) has(id, name string) bool {
	f.mu.Lock()
	s := f.servers[id]
	f.mu.Unlock()
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	approval, ok := s.record.Approval(name)
	return ok && s.offers[name] != nil && s.offers[name].record.Pin == approval.Pin
}

// state says how a server is, for people.
func (f *Fleet) state(id, name string, now time.Time) (events.MCPReason, string) {
	f.mu.Lock()
	s := f.servers[id]
	f.mu.Unlock()
	if s == nil {
		return events.MCPReasonNoCommand, "this executor cannot reach it"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.monitor.State(now)
	text := string(state.Health) + ", " + string(state.Reason)
	switch t := s.offers[name]; {
	case state.Message != "":
		text += " (" + state.Message + ")"
	case t == nil:
		text += ", it does not list the tool"
	case !t.breaker.Ready(now):
		text += ", its calls of this tool fail"
	}
	return state.Reason, text
}
