package fsm_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/test/drawn"
)

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
		m := drawn.Machine(t)
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
			in = drawn.Input(t, instance, &chart, now)
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
