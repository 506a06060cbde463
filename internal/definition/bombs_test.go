package definition_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

const bombHead = "leat: v1\ntype: t\nversion: 1\n"

// within runs f and fails when it allocates too much, or has not ended by the
// time that only a bomb takes.
func within(t *testing.T, megabytes uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > megabytes {
		t.Errorf("it allocates %d MiB, at most %d", used, megabytes)
	}
}

// What is wrong is refused with a place, in bounded time and memory.
func TestBombsAreRefused(t *testing.T) {
	many := strings.Repeat
	for name, c := range map[string]struct{ src, want string }{
		"aliases":      {bombHead + "a: &a [x]\nb: [*a, *a]\nstates: {a: {}}\n", "x:4:4: error: anchors"},
		"merge":        {bombHead + "states:\n  a: {<<: {b: c}}\n", "x:5:7: error: merge keys"},
		"duplicate":    {bombHead + "states:\n  a: {}\n  a: {}\n", "x:6:3: error: key \"a\" is there twice"},
		"10 MB":        {bombHead + many("# comment\n", 1<<20), "x:1:1: error: the file is"},
		"10000 states": {bombHead + "states:\n" + numbered("  s#: {}\n", 10_000), "x:1:1: error: the definition has 10001 states"},
		"depth":        {nested(65) + many("  ", 132) + "z: {type: final}\n", "states are nested more than 64 deep"},
		"needs":        {bombHead + "states:\n  a:\n    tasks: {x: {task: q.x, needs: y}, y: {task: q.y, needs: x}}\n    onDone: a\n    onError: a\n", "wait for each other: x, y"},
		"history":      {bombHead + "states:\n  s:\n    states: {a: {}, h: {type: history, target: h}}\n", "x:6:48: error: target \"h\""},
		"parentheses":  {guarded(many("(", 3000) + "1" + many(")", 3000) + " == 1"), "x:5:24: error: expression recursion limit"},
		"literal":      {guarded("'" + many("x", 900_000) + "' == ''"), "x:5:24: error: expression code point size"},
		"binary":       {"\x00\xff\xfe\x01", "x:1:1: error: the file is not UTF-8"},
		"not a number": {bombHead + "data: {x: {type: double, default: .nan}}\nstates: {a: {}}\n", "x:4:35: error: .nan is not a finite number"},
		"infinity":     {bombHead + "data: {x: {type: double, default: -.inf}}\nstates: {a: {}}\n", "x:4:35: error: -.inf is not a finite number"},
		"tabs":         {bombHead + "states:\n\ta: {}\n", "x:5:1: error: this is not YAML"},
		"long line":    {bombHead + "description: " + many("x", 1_000_000) + "\nstates: {a: {typo: 1}}\n", "x:5:14: error: state \"a\" has no field"},
		"one pattern":  {bombHead + "input:\n  pattern: '" + many("x{999}", 11) + "'\nstates: {a: {type: final}}\n", "x:5:12: error: the pattern has more than 10000 steps"},
		"patterns":     {bombHead + "input:\n  allOf:\n" + many("    - pattern: x\n", 1001) + "states: {a: {type: final}}\n", "x:1006:16: error: the definition's schemas have more than 1000 patterns"},
		"pattern size": {bombHead + "input:\n  allOf:\n" + many("    - {pattern: 'x{999}y{999}'}\n", 900) + "states: {a: {type: final}}\n", "have more than 50000 steps together"},
		"pattern keys": {bombHead + "payloads:\n  p: {patternProperties: {'" + many("x{999}", 11) + "': true}}\nstates: {a: {type: final}}\n", "the pattern has more than 10000 steps"},
		"BOM":          {"\ufeff" + bombHead + "states: {a: {type: final}}\n", ""},
		"CRLF":         {strings.ReplaceAll(bombHead+"states:\n  a: {type: final}\n", "\n", "\r\n"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 512, func() {
				_, findings, err := definition.Parse("x", []byte(c.src))
				if (err == nil) != (c.want == "") || !strings.Contains(findings.String(), c.want) {
					t.Errorf("got %.300s, want %s", findings, c.want)
				}
			})
		})
	}
}

func guarded(expression string) string {
	return bombHead + "states:\n  a: {on: {e: {guard: \"" + expression + "\"}}}\n"
}

func numbered(part string, n int) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(strings.ReplaceAll(part, "#", string(rune('a'+i%26))+strings.Repeat("x", i/26%40)+strings.Repeat("y", i/1040)))
	}
	return out.String()
}

// A definition that is valid and would work for ever, or fill the memory, ends
// in an incident that says where.
func TestBombsBecomeIncidents(t *testing.T) {
	loop := "data: {n: {type: long, default: 0}}\nstates:\n  a:\n    always: {guard: \"data.n < 900%s\", assign: {n: data.n + 1}, actions: [%s]}\n"
	of := func(guard, action string, times int) string {
		return bombHead + strings.NewReplacer("%s\"", guard+"\"", "[%s]", "["+strings.TrimSuffix(strings.Repeat(action+",", times), ",")+"]").Replace(loop)
	}
	all := "[1,2,3,4,5,6,7,8,9].all("
	for name, c := range map[string]struct{ src, code string }{
		"effects":        {of("", "{emit: x}", 9000), fsm.CodeWork},
		"raised":         {of("", "{raise: x}", 9000), fsm.CodeWork},
		"comprehensions": {of(" && "+all+"a, "+all+"b, "+all+"c, "+all+"d, a + b + c + d > 0))))", "{log: \"'x'\"}", 1), fsm.CodeWork},
		"to itself":      {bombHead + "states:\n  a: {entry: [{send: x}], on: {x: a}}\n", fsm.CodeMicrosteps},
		"one expression": {bombHead + "states:\n  a: {entry: [{log: \"" + strings.Repeat(all+"x, ", 9) + "true" + strings.Repeat(")", 9) + "\"}]}\n", fsm.CodeExpression},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, err := definition.Parse("x", []byte(c.src))
			if err != nil {
				t.Fatal(err)
			}
			within(t, 1024, func() {
				_, _, err := m.Step(events.Chart{}, fsm.Input{
					Kind: fsm.InputStart, Now: time.Unix(0, 0), Instance: fsm.Instance{ID: events.InstanceIDForKey("t", "k"), Type: "t", Key: "k", Version: 1},
				})
				parked, ok := errors.AsType[*fsm.Incident](err)
				if !ok || parked.Code != c.code || parked.Line == 0 {
					t.Errorf("got %v, want an incident %s with a place", err, c.code)
				}
			})
		})
	}
}
