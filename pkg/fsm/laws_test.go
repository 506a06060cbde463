package fsm_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// chartGen draws a definition: a tree of states of every type, with transitions
// between any two of them, tasks, timers and sends.
type chartGen struct {
	t     *rapid.T
	ids   []string
	out   strings.Builder
	names int
}

func (g *chartGen) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(g.t, label) }

func (g *chartGen) id() string {
	g.names++
	return fmt.Sprintf("s%d", g.names)
}

// tree draws the shape first, so that transitions may target what comes later.
type tree struct {
	id, kind string
	children []*tree
}

func (g *chartGen) shape(depth int, parentKind string) *tree {
	kinds := []string{"atomic", "atomic", "compound", "parallel", "final"}
	if depth >= 3 {
		kinds = []string{"atomic", "final"}
	}
	if parentKind == "parallel" {
		kinds = kinds[:len(kinds)-1]
	}
	s := &tree{id: g.id(), kind: kinds[g.pick("kind", len(kinds))]}
	g.ids = append(g.ids, s.id)
	if s.kind == "compound" || s.kind == "parallel" {
		for range 1 + g.pick("children", 3) {
			s.children = append(s.children, g.shape(depth+1, s.kind))
		}
		if g.pick("history", 3) == 0 {
			h := &tree{id: g.id(), kind: "history"}
			g.ids = append(g.ids, h.id)
			s.children = append(s.children, h)
		}
	}
	return s
}

func (g *chartGen) write(s *tree, indent string) {
	fmt.Fprintf(&g.out, "%s%s:\n", indent, s.id)
	indent += "  "
	fmt.Fprintf(&g.out, "%stype: %s\n", indent, s.kind)
	switch s.kind {
	case "final":
		return
	case "history":
		// replaced by the caller, who knows the parent's children
		return
	}
	if len(s.children) > 0 {
		fmt.Fprintf(&g.out, "%sstates:\n", indent)
		for _, child := range s.children {
			g.write(child, indent+"  ")
			if child.kind == "history" {
				fmt.Fprintf(&g.out, "%s    history: %s\n%s    target: %s\n", indent, []string{"shallow", "deep"}[g.pick("deep", 2)], indent, s.children[0].id)
			}
		}
	}
	fmt.Fprintf(&g.out, "%sentry: [{assign: {n: data.n + 1}}]\n", indent)
	fmt.Fprintf(&g.out, "%son:\n", indent)
	for _, e := range []string{"e1", "e2", "e3"} {
		if g.pick("has", 2) == 0 {
			fmt.Fprintf(&g.out, "%s  %s: {target: %s, internal: %v, assign: {n: data.n + 1}}\n", indent, e, g.ids[g.pick("target", len(g.ids))], g.pick("internal", 2) == 0)
		}
	}
	fmt.Fprintf(&g.out, "%s  e4: {actions: [{raise: e1}, {send: {event: e2, delay: 3s, id: x}}]}\n", indent)
	if g.pick("after", 3) == 0 {
		fmt.Fprintf(&g.out, "%safter: {2s: %s}\n", indent, g.ids[g.pick("target", len(g.ids))])
	}
	switch g.pick("work", 4) {
	case 0:
		fmt.Fprintf(&g.out, "%sinvoke: {task: q.t, retry: {maxAttempts: 2}, timeout: 5s, onDone: %s, onError: {actions: [{cancel: x}]}}\n", indent, g.ids[g.pick("target", len(g.ids))])
	case 1:
		fmt.Fprintf(&g.out, "%stasks: {a: {task: q.a}, b: {task: q.b, needs: [a]}}\n%sonDone: %s\n%sonError: {actions: []}\n", indent, indent, g.ids[g.pick("target", len(g.ids))], indent)
	}
}

func drawMachine(t *rapid.T) *fsm.Machine {
	g := &chartGen{t: t}
	var top []*tree
	for range 2 + g.pick("top", 3) {
		top = append(top, g.shape(1, "compound"))
	}
	g.out.WriteString("leat: v1\ntype: flat\nversion: 1\ncompensation: {on: [failed]}\ndata: {n: {type: long, default: 0}}\nstates:\n")
	for _, s := range top {
		g.write(s, "  ")
	}
	m, _, err := definition.Parse("drawn.yaml", []byte(g.out.String()))
	if err != nil {
		t.Skip(err.Error()) // such as a default that cannot be
	}
	return m
}

// drawInput draws something that may happen to a chart.
func drawInput(t *rapid.T, chart *events.Chart, now time.Time) fsm.Input {
	in := fsm.Input{Kind: fsm.InputEvent, Instance: instance, Now: now}
	switch kind := rapid.IntRange(0, 7).Draw(t, "input"); {
	case kind == 5 && len(chart.Timers) > 0:
		in.Kind = fsm.InputTimer
		in.TimerID = chart.Timers[rapid.IntRange(0, len(chart.Timers)-1).Draw(t, "timer")].ID
	case kind >= 6 && len(chart.Tasks) > 0:
		task := chart.Tasks[rapid.IntRange(0, len(chart.Tasks)-1).Draw(t, "task")]
		in.Kind = rapid.SampledFrom([]fsm.InputKind{fsm.InputClaim, fsm.InputHeartbeat, fsm.InputResult}).Draw(t, "report")
		in.Task = &events.TaskResult{TaskID: task.TaskID, Attempt: max(task.Attempt, 1), NodeID: "n", State: events.TaskCompleted}
		if rapid.Bool().Draw(t, "failed") {
			in.Task.State, in.Task.Error = events.TaskFailed, &events.Error{Code: "E", Message: "m", Retryable: true}
		}
	default:
		in.Name = rapid.SampledFrom([]string{"e1", "e2", "e3", "e4", "e5"}).Draw(t, "event")
	}
	return in
}

func encode(t interface{ Fatal(...any) }, chart events.Chart) string {
	text, err := json.Marshal(chart)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// For every chart and every input: the same answer each time, also from a chart
// that went through JSON; the chart given stays as it was; the configuration is
// legal.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMachine(t)
		now := noon
		chart := events.Chart{}
		in := fsm.Input{Kind: fsm.InputStart, Instance: instance, Now: now, Data: json.RawMessage(`{}`)}
		for range 12 {
			before := encode(t, chart)
			next, effects, err := m.Step(chart, in)
			if encode(t, chart) != before {
				t.Fatalf("the step changed the chart given:\n%s\n%s", before, encode(t, chart))
			}
			var copied events.Chart
			if err := json.Unmarshal([]byte(before), &copied); err != nil {
				t.Fatal(err)
			}
			again, effectsAgain, errAgain := m.Step(copied, in)
			if fmt.Sprint(err) != fmt.Sprint(errAgain) || encode(t, next) != encode(t, again) {
				t.Fatalf("two answers to the same question: %v %v\n%s\n%s", err, errAgain, encode(t, next), encode(t, again))
			}
			if diff := cmp.Diff(effects, effectsAgain, cmp.AllowUnexported(events.ContextValue{})); diff != "" {
				t.Fatalf("different effects: %s", diff)
			}
			if err != nil {
				return // an incident
			}
			if err := m.CheckChart(next); err != nil {
				t.Fatal(err)
			}
			checkEffects(t, effects, before, next)
			now = now.Add(time.Second)
			chart = next
			in = drawInput(t, &chart, now)
		}
	})
}

// checkEffects holds what the router relies on.
func checkEffects(t *rapid.T, effects []fsm.Effect, before string, next events.Chart) {
	ended := 0
	for i, e := range effects {
		switch e := e.(type) {
		case fsm.Ended:
			if ended++; i != len(effects)-1 {
				t.Fatalf("Ended is not the last effect: %#v", effects)
			}
		case fsm.Ignored:
			if len(effects) != 1 || encode(t, next) != before {
				t.Fatalf("Ignored, but something happened: %#v", effects)
			}
		case fsm.StartTask:
			if e.TaskID.IsNil() || e.Attempt < 1 {
				t.Fatalf("bad start: %#v", e)
			}
		}
	}
	if ended > 1 {
		t.Fatalf("ended %d times", ended)
	}
	if len(effects) == 0 && encode(t, next) != before {
		return // data may change without an effect
	}
	seen := map[events.UUID]bool{}
	for _, task := range next.Tasks {
		if seen[task.TaskID] {
			t.Fatalf("task %s is there twice", task.TaskID)
		}
		seen[task.TaskID] = true
	}
	for _, timer := range next.Timers {
		if !timer.TaskID.IsNil() && !seen[timer.TaskID] {
			t.Fatalf("timer %d is of a task that is gone", timer.ID)
		}
	}
}

// A step of arbitrary charts and inputs neither panics nor changes what it was given.
func FuzzStep(f *testing.F) {
	f.Add([]byte(flat), []byte(`{"active":["a"],"counter":0}`), "go", []byte(`{}`), int64(1))
	f.Add([]byte(flat), []byte(`{"active":["a","b"],"data":{"n":"x"},"history":{"h":["q"]}}`), "go", []byte(`{`), int64(1))
	f.Fuzz(func(t *testing.T, src, chartText []byte, name string, data []byte, timer int64) {
		m, _, err := definition.Parse("fuzz", src)
		if err != nil {
			return
		}
		var chart events.Chart
		if json.Unmarshal(chartText, &chart) != nil {
			return
		}
		before, err := json.Marshal(chart)
		if err != nil {
			return
		}
		for _, in := range []fsm.Input{
			{Kind: fsm.InputStart, Data: data},
			{Kind: fsm.InputEvent, Name: name, Data: data},
			{Kind: fsm.InputTimer, TimerID: timer},
		} {
			in.Instance, in.Now = instance, noon
			_, _, _ = m.Step(chart, in)
		}
		if after, _ := json.Marshal(chart); string(after) != string(before) {
			t.Fatalf("the step changed the chart given: %s -> %s", before, after)
		}
	})
}

// One machine serves many goroutines (run with -race).
func TestMachineIsSafeForConcurrentUse(t *testing.T) {
	m := machine(t, flat)
	first := start(t, m)
	done := make(chan error)
	for range 4 {
		go func() {
			chart, err := first, error(nil)
			for range 200 {
				if chart, _, err = m.Step(chart, fsm.Input{Kind: fsm.InputEvent, Instance: instance, Now: noon, Name: "go"}); err != nil {
					break
				}
			}
			if err == nil && chart.Data["n"].Int() != 200 {
				err = fmt.Errorf("n is %d after 200 steps", chart.Data["n"].Int())
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
