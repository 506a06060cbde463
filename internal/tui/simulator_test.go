package tui

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/definition"
)

const order = `
leat: v1
type: order
version: 1
data: {n: {type: long, default: 0}}
states:
  charging:
    invoke: {task: payments.charge, onDone: {target: packing, assign: {n: event.data.n}}, onError: failed}
  packing:
    on:
      packed: {target: done, guard: "event.data.ok"}
      lost: failed
      "note.*": {assign: {n: data.n + 1}}
    after: {72h: failed}
  done: {type: final, output: {n: data.n}}
  failed: {type: final, outcome: failed}
`

func screen(t *testing.T) *simulator {
	t.Helper()
	m, _, err := definition.Parse("order.yaml", []byte(order))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSimulator(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keys presses keys by name; what is not a name of one is typed.
func keys(s *simulator, list ...string) {
	for _, k := range list {
		switch k {
		case "up", "down", "enter", "esc", "backspace", "u", "d", "r":
			s.press(k, "")
		default:
			for _, r := range k {
				s.press(string(r), string(r))
			}
		}
	}
}

func labels(s *simulator) string {
	var out []string
	for _, c := range s.choices() {
		label := c.label
		if c.dim {
			label = "(" + label + ")"
		}
		out = append(out, label)
	}
	return strings.Join(out, " | ")
}

func active(s *simulator) string { return strings.Join(s.now().sim.Active(), " ") }

// A walk to the end: a task completes with data, an event carries data, the
// clock moves, a step is taken back; the items say how to do it again.
func TestWalk(t *testing.T) {
	s := screen(t)
	if got, want := labels(s), "complete charging | fail charging | "; !strings.HasPrefix(got, want) {
		t.Fatalf("got %s, want %s", got, want)
	}
	keys(s, "d", `{"n": 4}`, "enter")
	if active(s) != "packing" || !strings.Contains(s.text(), "n = 4") || !strings.Contains(s.text(), "after.72h.packing in 72h0m0s") {
		t.Fatalf("after the task:\n%s", s.text())
	}
	if got, want := labels(s), "(packed) | lost | note.* | wait for after.72h.packing | move the clock… | send another event…"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	keys(s, "down", "enter")
	if active(s) != "failed" {
		t.Fatalf("after lost: %s", active(s))
	}
	keys(s, "u", "down", "down", "enter", "x", "enter") // note.x
	if !strings.Contains(s.text(), "n = 5") {
		t.Fatalf("after note.x:\n%s", s.text())
	}
	keys(s, "up", "up", "d", "{", "enter")
	if !strings.Contains(s.text(), "not JSON") || s.asking != askData {
		t.Fatalf("half an object is taken:\n%s", s.text())
	}
	keys(s, "backspace", `{"ok":true}`, "enter")
	if active(s) != "done" || !strings.Contains(s.text(), `{"n":5}`) {
		t.Fatalf("at the end:\n%s", s.text())
	}
	want := `[{"task":"charging","result":{"n":4}},{"event":"note.x"},{"event":"packed","data":{"ok":true}}]`
	text, err := json.Marshal(s.items())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
	keys(s, "r", "u")
	if active(s) != "charging" || s.said != "nothing to undo" {
		t.Errorf("after a restart: %s, %q", active(s), s.said)
	}
}

// A task fails with a code, the clock moves by what is typed, and Esc goes back.
func TestFailAndClock(t *testing.T) {
	s := screen(t)
	keys(s, "down", "enter", "esc")
	if active(s) != "charging" || s.asking != askNothing {
		t.Fatal("Esc did not go back")
	}
	keys(s, "enter", "CARD no money", "enter")
	if active(s) != "failed" {
		t.Fatalf("after the failure: %s\n%s", active(s), s.text())
	}
	s = screen(t)
	keys(s, "enter") // complete without data: event.data.n is missing
	if active(s) != "charging" || s.said == "" {
		t.Fatalf("an incident is not said:\n%s", s.text())
	}
	keys(s, "d", `{"n":1}`, "enter", "up", "up", "enter", "73h", "enter")
	if active(s) != "failed" {
		t.Fatalf("after the clock: %s\n%s", active(s), s.text())
	}
	keys(s, "up", "enter", "soon", "enter")
	if s.said == "" {
		t.Error("a bad duration is not said")
	}
}
