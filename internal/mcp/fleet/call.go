package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/health"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// Call is a call that a server was asked to take. It has to be ended, once.
type Call struct {
	Conn *wire.Conn

	server *server
	tool   *tool
	pass   health.Pass
	trial  health.Pass // of the tool's own breaker
	began  time.Time
}

// Begin takes a place for a call. The error is a [*Refusal]; the next offer may
// take the call then.
func (o *Offer) Begin() (*Call, error) {
	now := time.Now()
	s := o.server
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.record.SubsystemID
	if s.conn == nil || s.offers[o.Tool.Name] != o.tool && (s.offers[o.Tool.Name] == nil || s.offers[o.Tool.Name].record.Pin != o.Pin) {
		return nil, &Refusal{Code: wire.CodeUnavailable, Message: fmt.Sprintf("subsystem %s does not offer %q any more", id, o.Tool.Name)}
	}
	if approval, ok := s.record.Approval(o.Tool.Name); !ok || approval.Pin != o.Pin {
		return nil, &Refusal{Code: CodeNotApproved, Message: fmt.Sprintf("the approval of %s/%s was taken back", id, o.Tool.Name)}
	}
	if !o.tool.breaker.Ready(now) {
		_, _, again := o.tool.breaker.Allow(now)
		return nil, &Refusal{Code: wire.CodeUnavailable, Message: fmt.Sprintf("calls of %s/%s fail", id, o.Tool.Name), RetryAfter: max(again.Sub(now), 0)}
	}
	if s.limiter != nil {
		reservation := s.limiter.ReserveN(now, 1)
		if wait := reservation.DelayFrom(now); wait > 0 {
			reservation.CancelAt(now)
			return nil, &Refusal{Code: wire.CodeBusy, Message: fmt.Sprintf("subsystem %s takes %d calls a second (limits.perSecond)", id, s.record.Limits.PerSecond), RetryAfter: wait}
		}
	}
	pass, answer, again := s.monitor.Begin(now)
	switch answer {
	case health.Full:
		return nil, &Refusal{Code: wire.CodeBusy, Message: fmt.Sprintf("subsystem %s has %d calls under way (limits.inFlight)", id, s.monitor.InFlight())}
	case health.Broken:
		return nil, &Refusal{Code: wire.CodeUnavailable, Message: fmt.Sprintf("calls of subsystem %s fail", id), RetryAfter: max(again.Sub(now), 0)}
	case health.Closing:
		return nil, &Refusal{Code: wire.CodeUnavailable, Message: fmt.Sprintf("subsystem %s is being let go", id)}
	case health.Admitted:
	}
	trial, _, _ := o.tool.breaker.Allow(now)
	s.fleet.config.Metrics.InFlight(id, o.Tool.Name, 1)
	tell(s.fleet.dirty)
	return &Call{Conn: s.conn, server: s, tool: o.tool, pass: pass, trial: trial, began: now}, nil
}

// End says how the call ended: err is that of wire's Call, nil for an answer. What
// it says about the server decides about the next calls.
func (c *Call) End(answer wire.Answer, err error) {
	now := time.Now()
	s := c.server
	v := judge(err)
	s.mu.Lock()
	id := s.record.SubsystemID
	if v.unauthenticated {
		s.monitor.Unauthenticated(v.message, now)
	}
	if v.reason == events.MCPReasonUnreachable && v.server == health.Failure {
		s.monitor.Lost(now)
	}
	if v.server == health.Success {
		s.used = now
	}
	s.monitor.End(c.pass, v.server, v.reason, v.message, now)
	c.tool.breaker.Report(c.trial, v.tool, now)
	s.mu.Unlock()
	m := s.fleet.config.Metrics
	m.InFlight(id, c.tool.def.Name, -1)
	m.CallEnded(id, c.tool.def.Name, outcomeOf(answer, err), now.Sub(c.began))
	tell(s.fleet.dirty)
	if v.server == health.Failure || v.unauthenticated {
		tell(s.wake) // ask at once whether it is there
	}
}

// Unknown counts that nobody knows whether the call took effect.
func (c *Call) Unknown() { c.server.fleet.config.Metrics.Unknown(c.server.id(), c.tool.def.Name) }

// FailedOver counts that the call went on to another server.
func (c *Call) FailedOver() {
	c.server.fleet.config.Metrics.FailedOver(c.server.id(), c.tool.def.Name)
}

// verdict is what a call says about its server and its tool.
type verdict struct {
	server, tool    health.Outcome
	reason          events.MCPReason
	message         string
	unauthenticated bool
}

// judge reads the end of a call. A server that answered is well, whatever it said;
// a tool that hangs or answers what is no answer harms itself alone.
func judge(err error) verdict {
	if err == nil {
		return verdict{server: health.Success, tool: health.Success}
	}
	failure, ok := errors.AsType[*wire.Failure](err)
	if !ok || errors.Is(err, context.Canceled) {
		return verdict{}
	}
	reason, message := reasonOf(err, events.MCPReasonCallsFailed)
	switch {
	case reason == events.MCPReasonUnauthenticated:
		return verdict{reason: reason, message: message, unauthenticated: true}
	case failure.Code == wire.CodeBusy:
		return verdict{}
	case failure.Answered || failure.Code == wire.CodeTool || failure.Code == wire.CodeArguments:
		return verdict{server: health.Success, tool: health.Success}
	case failure.Code == wire.CodeTooLarge:
		return verdict{}
	case failure.Code == wire.CodeTimeout || failure.Code == wire.CodeInvalid || failure.Code == wire.CodeProtocol:
		return verdict{tool: health.Failure, reason: reason, message: message}
	}
	return verdict{server: health.Failure, tool: health.Failure, reason: reason, message: message}
}

// outcomeOf is the label of a call.
func outcomeOf(answer wire.Answer, err error) string {
	if err == nil {
		if result, ok := answer.(*wire.Result); ok && result.IsError {
			return "tool_error"
		}
		return "ok"
	}
	if failure, ok := errors.AsType[*wire.Failure](err); ok {
		return strings.ToLower(strings.TrimPrefix(failure.Code, "MCP_"))
	}
	return "cancelled"
}

// Conn is the connection to a server, for what belongs to a call that began: its
// task, its questions. It takes no place and asks no breaker. The error is a
// [*Refusal].
func (f *Fleet) Conn(subsystem string) (*wire.Conn, error) {
	f.mu.Lock()
	s := f.servers[subsystem]
	f.mu.Unlock()
	if s == nil {
		now := time.Now()
		r := &Refusal{Code: wire.CodeUnavailable, Message: fmt.Sprintf("this executor cannot reach subsystem %q", subsystem)}
		f.directory.View(func(c *catalog.Catalog) { r.Elsewhere = c.Reaching(subsystem, f.config.NodeID, now) })
		return nil, r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil, &Refusal{Code: wire.CodeUnavailable, Message: fmt.Sprintf("subsystem %s is not connected: %s", subsystem, s.monitor.State(time.Now()).Reason)}
	}
	return s.conn, nil
}
