package fsm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// What an expression, or a whole step, builds is bounded while it is built: a
// small definition and a payload of 256 KiB cannot fill the memory, whatever
// the place of the expression.
func TestWhatIsBuiltIsBoundedMeanwhile(t *testing.T) {
	const amplified = "'input.items.map(i, input.note)'"
	note := strings.Repeat("n", 190_000)
	items := strings.TrimSuffix(strings.Repeat("1,", 24_000), ",")
	in := json.RawMessage(`{"items":[` + items + `],"note":"` + note + `"}`)
	list := json.RawMessage(`{"items":[` + items + `],"note":1}`)
	loop := "    always: {guard: data.n < 900, target: a, assign: {n: data.n + 1}, actions: [%s]}\n"
	for name, c := range map[string]struct {
		state string
		input json.RawMessage
		code  string
	}{
		"emit":        {"    entry: [{emit: {event: x, data: " + amplified + "}}]\n", in, fsm.CodeExpression},
		"raise":       {"    entry: [{raise: {event: x, data: {a: {b: [" + amplified + "]}}}}]\n", in, fsm.CodeExpression},
		"log":         {"    entry: [{log: " + amplified + "}]\n", in, fsm.CodeExpression},
		"assign":      {"    entry: [{assign: {p: " + amplified + "}}]\n", in, fsm.CodeExpression},
		"task input":  {"    invoke: {task: q.x, input: " + amplified + ", onDone: a, onError: a}\n", in, fsm.CodeExpression},
		"numbers":     {"    entry: [{emit: {event: x, data: 'input.items.map(i, input.items)'}}]\n", list, fsm.CodeExpression},
		"maps":        {"    entry: [{emit: {event: x, data: 'input.items.map(i, {\"a\": input.items})'}}]\n", list, fsm.CodeExpression},
		"facts":       {fmt.Sprintf(loop, "{emit: {event: x, data: input.note}}"), in, fsm.CodeWork},
		"raised":      {fmt.Sprintf(loop, "{raise: {event: x, data: input.note}}"), in, fsm.CodeWork},
		"messages":    {fmt.Sprintf(loop, "{log: input.note}"), in, fsm.CodeWork},
		"to others":   {fmt.Sprintf(loop, "{send: {event: x, to: \"'b'\", type: t, data: input.note}}"), in, fsm.CodeWork},
		"to itself":   {fmt.Sprintf(loop, "{send: {event: x, data: input.note}}"), in, fsm.CodeWork},
		"timed":       {fmt.Sprintf(loop, "{send: {event: x, delay: 1h, data: input.note}}"), in, fsm.CodeWork},
		"not too bad": {"    entry: [{emit: {event: x, data: input.note}}, {emit: {event: x, data: input.note}}]\n", in, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := machine(t, "leat: v1\ntype: flat\nversion: 1\ndata: {n: {type: long, default: 0}}\npayloads: {p: {}}\nstates:\n  a:\n"+c.state)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := m.Step(events.Chart{}, fsm.Input{Kind: fsm.InputStart, Instance: instance, Now: noon, Data: c.input})
			runtime.ReadMemStats(&after)
			code := ""
			if parked, ok := errors.AsType[*fsm.Incident](err); ok {
				code = parked.Code
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code {
				t.Errorf("got %q (%v), want %q", code, err, c.code)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 200 {
				t.Errorf("the step allocates %d MiB", used)
			}
		})
	}
}
