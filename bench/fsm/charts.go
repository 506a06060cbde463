package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/looplab/fsm"
	"github.com/qmuntal/stateless"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	leatfsm "github.com/leat-io/leat/pkg/fsm"
)

const head = "leat: v1\ntype: bench\nversion: 1\ndata: {n: {type: long, default: 0}}\n"

var names = []string{"a", "b", "c", "d", "e"}

// flatChart: five states in a ring, each arrow with a guard and an assignment.
var flatChart = func() string {
	var b strings.Builder
	b.WriteString(head + "states:\n")
	for i, name := range names {
		fmt.Fprintf(&b, "  %s: {on: {go: {target: %s, guard: data.n >= 0, assign: {n: data.n + 1}}}}\n", name, names[(i+1)%len(names)])
	}
	return b.String()
}()

// The charts of xstate/bench.mjs.
var parallelChart = regions(2)

const historyChart = head + `states:
  work:
    on: {out: away}
    initial: two
    states:
      h: {type: history, history: deep, target: one}
      one: {}
      two: {initial: y, states: {x: {}, y: {}}}
  away: {on: {back: h}}
`

// regions is a parallel state whose regions all react to the same event.
func regions(n int) string {
	var b strings.Builder
	b.WriteString(head + "states:\n  p:\n    type: parallel\n    states:\n")
	for i := range n {
		fmt.Fprintf(&b, "      r%d: {states: {a%d: {on: {go: b%d}}, b%d: {on: {go: a%d}}}}\n", i, i, i, i, i)
	}
	return b.String()
}

// leat is one decision of an instance, event after event.
func leat(src string, list ...string) func() {
	m, _, err := definition.Parse("bench.yaml", []byte(src))
	if err != nil {
		panic(err)
	}
	instance := leatfsm.Instance{ID: events.InstanceIDForKey("bench", "k"), Type: "bench", Key: "k", Version: 1}
	in := leatfsm.Input{Kind: leatfsm.InputStart, Instance: instance, Now: time.Unix(0, 0), Data: json.RawMessage(`{}`)}
	chart, _, err := m.Step(events.Chart{}, in)
	if err != nil {
		panic(err)
	}
	in.Kind, in.Data = leatfsm.InputEvent, nil
	at := 0
	return func() {
		in.Name = list[at%len(list)]
		at++
		next, _, err := m.Step(chart, in)
		if err != nil {
			panic(err)
		}
		chart = next
	}
}

func statelessFlat() func() {
	machine, n := stateless.NewStateMachine("a"), 0
	for i, name := range names {
		machine.Configure(name).Permit("go", names[(i+1)%len(names)], func(context.Context, ...any) bool { return n >= 0 }).
			OnExit(func(context.Context, ...any) error { n++; return nil })
	}
	return func() {
		if err := machine.Fire("go"); err != nil {
			panic(err)
		}
	}
}

func looplabFlat() func() {
	var list fsm.Events
	for i, name := range names {
		list = append(list, fsm.EventDesc{Name: "go", Src: []string{name}, Dst: names[(i+1)%len(names)]})
	}
	n := 0
	machine := fsm.NewFSM("a", list, fsm.Callbacks{
		"before_go": func(_ context.Context, e *fsm.Event) {
			if n < 0 {
				e.Cancel()
			}
		},
		"after_go": func(context.Context, *fsm.Event) { n++ },
	})
	return func() {
		if err := machine.Event(context.Background(), "go"); err != nil {
			panic(err)
		}
	}
}

// node measures a chart of xstate/bench.mjs.
func node(ctx context.Context, directory, chart string, rounds int, turn time.Duration) (float64, error) {
	cmd := exec.CommandContext(ctx, "node", filepath.Join(directory, "bench.mjs"), chart, strconv.Itoa(rounds), strconv.FormatInt(turn.Milliseconds(), 10)) //nolint:gosec // our own script
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("run node: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
}
