// Package fsm decides what follows from an input: a pure, deterministic
// interpreter of statecharts with the semantics of the W3C SCXML algorithm
// (www.w3.org/TR/scxml, appendix D).
//
// [Machine.Step] takes the state of an instance ([events.Chart]) and an [Input],
// and returns the new state and the [Effect]s in the order in which they happened. It reads no clock, does no I/O, starts no goroutine and
// draws no random number: time and identity come in with the input, so the same
// chart and input give the same answer on every machine and on every replay.
//
// A [Machine] is compiled from a [Definition] by [Compile]. pkg/definition does
// both: it reads definitions from YAML and JSON, and provides CEL for [Expressions].
// The package knows neither. Besides the standard library it imports
// pkg/events and internal/plain (values of expressions and their JSON).
//
// # Where to look
//
// step.go holds Step and the loop; transitions.go which transitions are enabled,
// and what they leave and enter; actions.go what they do; tasks.go, tasks_dag.go
// and timers.go what they wait for; end.go how an instance ends.
// definition.go is the parsed form, machine.go the compiled one.
package fsm
