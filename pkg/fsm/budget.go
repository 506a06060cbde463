package fsm

import (
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

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
