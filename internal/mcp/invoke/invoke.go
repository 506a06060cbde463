package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// TaskName is the task that a [Runner] runs.
const TaskName = "mcp.call"

// Fleet is the subsystems that this executor may call.
type Fleet interface {
	// Route lists the offers for a call in the order in which they are to be tried. The
	// error is a [*fleet.Refusal], or that of ctx.
	Route(ctx context.Context, want fleet.Want) ([]fleet.Offer, error)
	// Conn is the connection to a subsystem. The error is a [*fleet.Refusal].
	Conn(subsystem string) (*wire.Conn, error)
}

// Runner runs mcp.call. It implements [executor.Runner].
type Runner struct {
	fleet Fleet

	mu    sync.Mutex
	plans map[planKey]*plan
}

var (
	_ executor.Runner = (*Runner)(nil)
	_ Fleet           = (*fleet.Fleet)(nil)
)

// planKey is an attempt.
type planKey struct {
	task    events.UUID
	attempt int32
}

// plan is what was found out about an attempt before it was claimed.
type plan struct {
	in     *input
	offers []fleet.Offer
	later  *later // of an attempt that goes on
}

// New is a runner over the subsystems of this executor.
func New(f Fleet) *Runner { return &Runner{fleet: f, plans: make(map[planKey]*plan)} }

// Admit finds out where the call goes, and checks its arguments. It sends nothing
// of the call.
func (r *Runner) Admit(ctx context.Context, task *events.Task) (executor.Admission, error) {
	p, err := r.plan(ctx, task)
	if err != nil {
		return executor.Admission{}, err
	}
	key := planKey{task.TaskID, task.Attempt}
	r.mu.Lock()
	r.plans[key] = p
	r.mu.Unlock()
	done := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.plans[key] == p {
			delete(r.plans, key)
		}
	}
	return executor.Admission{Repeatable: p.repeatable(), Done: done}, nil
}

// plan reads the task, and chooses.
func (r *Runner) plan(ctx context.Context, task *events.Task) (*plan, error) {
	in, err := readInput(task)
	if err != nil {
		return nil, err
	}
	if task.Continuation != nil {
		l, err := readLater(task.Continuation)
		if err != nil {
			return nil, err
		}
		p := &plan{in: in, later: l}
		if l.Kind == kindRound { // the call is made again, at the same subsystem, as the same tool
			p.offers, err = r.same(ctx, in, l)
		} else {
			_, err = r.fleet.Conn(l.Subsystem)
			err = refused(err, true)
		}
		return p, err
	}
	offers, err := r.fleet.Route(ctx, fleet.Want{Tool: in.Tool, Subsystem: in.Subsystem, Require: in.Require})
	if err != nil {
		return nil, refused(err, false)
	}
	if _, err := in.arguments(&offers[0], task.IdempotencyKey); err != nil {
		return nil, err
	}
	return &plan{in: in, offers: offers}, nil
}

// same routes the next round of a call to where the last one was.
func (r *Runner) same(ctx context.Context, in *input, l *later) ([]fleet.Offer, error) {
	offers, err := r.fleet.Route(ctx, fleet.Want{Tool: in.Tool, Subsystem: l.Subsystem, Require: true})
	if err != nil {
		return nil, refused(err, true)
	}
	if offers[0].Pin != l.Pin {
		return nil, fail(fleet.CodeNotApproved, false, "tool %q of subsystem %s is another by now than the one that asked", in.Tool, l.Subsystem)
	}
	return offers[:1], nil
}

// repeatable is what the claim says. To ask for a task again changes nothing.
func (p *plan) repeatable() bool {
	if p.later != nil && p.later.Kind != kindRound {
		return p.later.Kind == kindTask
	}
	return p.offers[0].Repeat.May
}

// handBackAfter is how long an attempt rests that goes on at a subsystem which
// cannot be reached.
const handBackAfter = 2 * time.Second

// refused makes the end of an attempt of what the fleet refused. An attempt that
// others could run, or that has begun already, is handed back.
func refused(err error, begun bool) error {
	var r *fleet.Refusal
	if err == nil || !errors.As(err, &r) {
		return err
	}
	after := r.RetryAfter
	if begun {
		after = max(after, handBackAfter)
	}
	if begun && r.Code != fleet.CodeUnknownTool && r.Code != fleet.CodeNotApproved || len(r.Elsewhere) > 0 {
		return executor.HandBack(r.Code, r.Message, after)
	}
	retryable := r.Code != fleet.CodeUnknownTool && r.Code != fleet.CodeNotApproved
	return executor.RetryAfter(fail(r.Code, retryable, "%s", r.Message), r.RetryAfter)
}

// Run makes the call, or goes on with it.
func (r *Runner) Run(ctx context.Context, task *events.Task) (json.RawMessage, error) {
	r.mu.Lock()
	p := r.plans[planKey{task.TaskID, task.Attempt}]
	r.mu.Unlock()
	if p == nil { // nobody admitted it: an executor without claims
		var err error
		if p, err = r.plan(ctx, task); err != nil {
			return nil, err
		}
	}
	a := &attempt{runner: r, task: task, in: p.in, beat: func(details json.RawMessage) {
		_ = executor.Heartbeat(ctx, details) // an attempt that is over has nobody to tell
	}}
	if p.later != nil {
		return a.goOn(ctx, p)
	}
	return a.try(ctx, p.offers)
}
