package fsm_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// machine parses a definition that must be good.
func machine(tb testing.TB, src string) *fsm.Machine {
	tb.Helper()
	m, _, err := definition.Parse("test.yaml", []byte(src))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

var (
	instance = fsm.Instance{ID: events.InstanceIDForKey("flat", "k"), Type: "flat", Key: "k", Version: 1}
	noon     = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
)

func start(tb testing.TB, m *fsm.Machine) events.Chart {
	tb.Helper()
	chart, _, err := m.Step(events.Chart{}, fsm.Input{Kind: fsm.InputStart, Instance: instance, Now: noon, Data: json.RawMessage(`{}`)})
	if err != nil {
		tb.Fatal(err)
	}
	return chart
}

const flat = `
leat: v1
type: flat
version: 1
data:
  n: {type: long, default: 0}
states:
  a:
    on:
      go: {target: b, guard: "data.n >= 0", assign: {n: data.n + 1}}
  b:
    on:
      go: {target: a, guard: "data.n >= 0", assign: {n: data.n + 1}}
`

// One decision of a flat chart with a guard and an assignment.
func BenchmarkStepFlat(b *testing.B) {
	m := machine(b, flat)
	chart := start(b, m)
	in := fsm.Input{Kind: fsm.InputEvent, Instance: instance, Now: noon, Name: "go"}
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if chart, _, err = m.Step(chart, in); err != nil {
			b.Fatal(err)
		}
	}
}

// The same with a guard on the event's data.
func BenchmarkStepEventData(b *testing.B) {
	m := machine(b, `
leat: v1
type: flat
version: 1
data:
  last: {type: double, default: 0.5}
states:
  a:
    on:
      go: {target: a, guard: "event.data.mag >= 4.5", assign: {last: event.data.mag}}
`)
	chart := start(b, m)
	in := fsm.Input{Kind: fsm.InputEvent, Instance: instance, Now: noon, Name: "go", Data: json.RawMessage(`{"id":"x","mag":5.1,"place":"here"}`)}
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if chart, _, err = m.Step(chart, in); err != nil {
			b.Fatal(err)
		}
	}
}

// A task from its start over its result to the next state.
func BenchmarkStepResult(b *testing.B) {
	m := machine(b, `
leat: v1
type: flat
version: 1
states:
  a:
    invoke: {task: q.one, onDone: b, onError: b}
  b:
    on: {again: a}
`)
	chart := start(b, m)
	in := fsm.Input{Kind: fsm.InputResult, Instance: instance, Now: noon, Data: json.RawMessage(`{"ok":true}`)}
	in.Task = &events.TaskResult{TaskID: chart.Tasks[0].TaskID, Attempt: 1, State: events.TaskCompleted}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := m.Step(chart, in); err != nil {
			b.Fatal(err)
		}
	}
}
