package fsm

import (
	"fmt"
	"math"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// The resource limits that a definition may declare. What is not declared is
// not limited, apart from what bounds every record.
const (
	LimitConcurrentTasks = "max_concurrent_tasks" // tasks issued and not ended; more wait as blocked
	LimitChildWorkflows  = "max_child_workflows"  // child workflows started and not ended; more wait as blocked
	LimitTaskRetries     = "max_task_retries"     // attempts of one task after its first, whatever its retry policy says
	LimitPayloadBytes    = "max_payload_bytes"    // of one start payload, signal, task input, result or emitted fact
	LimitEvents          = "max_events"           // in the history; the instance fails
	LimitRuntimeSeconds  = "max_runtime_seconds"  // from the start; the instance ends as timeout
)

// LimitNames lists the closed set.
func LimitNames() []string {
	return []string{
		LimitConcurrentTasks, LimitEvents, LimitPayloadBytes, LimitTaskRetries, LimitRuntimeSeconds, LimitChildWorkflows,
	}
}

// CodeLimit is the error code of whatever exceeds a resource limit. The message
// begins with the limit's name.
const CodeLimit = "LIMIT_EXCEEDED"

// limits are a definition's, as a step uses them.
type limits struct {
	slots    [pools]int // 0: as many as are asked for
	attempts int32      // of one task; MaxInt32: as its policy says
	payload  int        // bytes
	runtime  time.Duration
}

// Invocations of one pool share its slots.
const (
	poolTasks    = iota // what executors work on
	poolChildren        // child workflows
	pools
)

// noPool never waits: a person is not a resource of the engine.
const noPool = -1

func compileLimits(declared map[string]int64) limits {
	bound := func(name string, most int64) (int64, bool) {
		n, ok := declared[name]
		return min(n, most), ok
	}
	l := limits{attempts: math.MaxInt32, payload: events.MaxPayloadLength}
	if n, ok := bound(LimitConcurrentTasks, math.MaxInt32); ok {
		l.slots[poolTasks] = int(n)
	}
	if n, ok := bound(LimitChildWorkflows, math.MaxInt32); ok {
		l.slots[poolChildren] = int(n)
	}
	if n, ok := bound(LimitTaskRetries, math.MaxInt32-1); ok {
		l.attempts = int32(n) + 1 //nolint:gosec // bounded
	}
	if n, ok := bound(LimitPayloadBytes, events.MaxPayloadLength); ok {
		l.payload = int(n)
	}
	if n, ok := bound(LimitRuntimeSeconds, int64(MaxDelay/time.Second)); ok {
		l.runtime = time.Duration(n) * time.Second
	}
	return l
}

// pool is whose slots a task takes. Compensation never waits: what it waits for
// may be the very thing that hangs.
func (s *step) pool(at int, inv *invocation) int {
	switch {
	case s.isUndo(at) || inv.def.Kind == InvokeHuman:
		return noPool
	case inv.def.Kind == InvokeWorkflow:
		return poolChildren
	default:
		return poolTasks
	}
}

// usage is how many slots of each pool are taken, and whether someone waits.
func (s *step) usage() (taken [pools]int, waiting [pools]bool) {
	for i := range s.chart.Tasks {
		t := &s.chart.Tasks[i]
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		if inv == nil {
			continue
		}
		pool := s.pool(i, inv)
		switch {
		case pool == noPool:
		case t.State == events.TaskBlocked:
			waiting[pool] = true
		case open(t.State): // put down, too
			taken[pool]++
		}
	}
	return taken, waiting
}

// mustWait reports whether a task cannot be issued now: no slot is free, or
// others wait for the next one.
func (s *step) mustWait(at int, inv *invocation) bool {
	pool := s.pool(at, inv)
	if pool == noPool || s.m.limits.slots[pool] == 0 {
		return false
	}
	taken, waiting := s.usage()
	return waiting[pool] || taken[pool] >= s.m.limits.slots[pool]
}

// block makes a task wait for a slot. Its deadlines begin when it has one.
func (s *step) block(at int) {
	t := &s.chart.Tasks[at]
	from := t.State
	t.State = events.TaskBlocked
	s.changed(t, from)
}

// allot gives free slots to the tasks that wait, in the order in which they
// were asked for, and reports whether that may let a DAG go on.
func (s *step) allot() bool {
	if s.m.limits.slots == [pools]int{} || !s.running {
		return false
	}
	taken, waiting := s.usage()
	if waiting == [pools]bool{} {
		return false
	}
	again := false
	for i := range s.chart.Tasks {
		t := &s.chart.Tasks[i]
		if t.State != events.TaskBlocked {
			continue
		}
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		if inv == nil {
			continue
		}
		pool := s.pool(i, inv)
		if taken[pool] >= s.m.limits.slots[pool] {
			continue
		}
		taken[pool]++
		s.ownTasks()
		t = &s.chart.Tasks[i]
		s.emit(SlotGiven{TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, Limit: poolLimits[pool]})
		s.dispatch(i, inv)
		if inv.dag && inv.def.Semantics != events.Await && s.config.has(inv.state) {
			s.dirty.add(inv.state) // it counts as started now
			again = true
		}
	}
	return again
}

var poolLimits = [pools]string{LimitConcurrentTasks, LimitChildWorkflows}

// CheckPayload refuses a payload that is larger than the definition lets one
// be; nil accepts it.
func (m *Machine) CheckPayload(what string, size int) *events.Error {
	if size <= m.limits.payload {
		return nil
	}
	return &events.Error{
		Code:    CodeLimit,
		Message: fmt.Sprintf("%s: %s is %d bytes, at most %d", LimitPayloadBytes, what, size, m.limits.payload),
	}
}

// Bounds of one step, so that no definition holds a router up: about a second of
// work and some megabytes at the very worst. What goes beyond is an incident.
const (
	MaxWork    = 2_000_000 // units: about one operation of an expression each
	MaxEffects = 10_000
	MaxBytes   = 8 << 20 // of what its expressions build, and of what its effects carry
)

// What things cost that are not counted exactly.
const (
	actionWork     = 10
	expressionWork = 10
	microstepWork  = 20
)

// spend counts work. It reports false when the step has done too much.
func (s *step) spend(units int, pos Pos) bool {
	if s.work += units; s.work > MaxWork {
		s.fail(CodeWork, fmt.Sprintf("one step does too much: more than %d operations", MaxWork), pos)
		return false
	}
	return true
}

// Spend counts the cost of an expression that knows it, when its work is not
// bounded by its length.
func (v Vars) Spend(cost uint64) { v.s.spend(int(min(cost, MaxWork+1)), v.s.m.def.Pos) }

// build counts the bytes of a payload that an expression has made: it lives
// until the decision is written, in an effect, in the chart or in a queue.
func (s *step) build(bytes int, pos Pos) {
	if s.built += bytes; s.built > MaxBytes {
		s.fail(CodeWork, fmt.Sprintf("one step does too much: its expressions build more than %d MiB", MaxBytes>>20), pos)
	}
}

// carried is how many bytes an effect carries that the definition's author or
// a stranger chose. The rest of an effect is small, and MaxEffects bounds it.
func carried(e Effect) int {
	switch e := e.(type) {
	case StartTask:
		return len(e.Input)
	case TaskChanged:
		return len(e.Result) + errorBytes(e.Error)
	case Emitted:
		return len(e.Data)
	case SendSignal:
		return len(e.Data) + len(e.To)
	case Logged:
		return len(e.Message)
	case TimerSet:
		return len(e.Data)
	case TimerFired:
		return len(e.Data)
	case Transitioned:
		return len(e.Event) + nameBytes*(len(e.Exited)+len(e.Entered)+len(e.Active))
	case DependencyResolved:
		return nameBytes * len(e.Needs)
	case Ended:
		return len(e.Output) + errorBytes(e.Error)
	default:
		return 0
	}
}

// nameBytes is about what the name of a state or task takes in a record.
const nameBytes = 24

func errorBytes(e *events.Error) int {
	if e == nil {
		return 0
	}
	return len(e.Code) + len(e.Message)
}
