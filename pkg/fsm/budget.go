package fsm

import "fmt"

// Bounds of one step, so that no definition holds a router up: about a second of
// work and some megabytes at the very worst. What goes beyond is an incident.
const (
	MaxWork    = 2_000_000 // units: about one operation of an expression each
	MaxEffects = 10_000
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
