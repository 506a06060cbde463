package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// runner is a [Runner] of two functions.
type runner struct {
	admit func(*events.Task) (Admission, error)
	run   Handler
}

func (r runner) Admit(_ context.Context, t *events.Task) (Admission, error) { return r.admit(t) }
func (r runner) Run(ctx context.Context, t *events.Task) (json.RawMessage, error) {
	return r.run(ctx, t)
}

// The claim of what runs at most once is durable before it runs, and says whether
// it may be made again. What may not is behind the group's offset besides.
func TestAttemptsAtMostOnceAreClaimedFirst(t *testing.T) {
	b := newBench(t, 1)
	e := b.executor(Config{ClaimAfter: time.Hour}, echo)
	var over atomic.Int32
	err := e.HandleRunner("pay.tool", runner{
		admit: func(task *events.Task) (Admission, error) {
			return Admission{Repeatable: string(task.Input) == `"safe"`, Done: func() { over.Add(1) }}, nil
		},
		run: func(_ context.Context, task *events.Task) (json.RawMessage, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			for j := range e.running {
				if j.task.TaskID == task.TaskID {
					return json.RawMessage(fmt.Sprintf("[%t,%t]", j.claimDurable, j.part.committed > j.offset)), nil
				}
			}
			return nil, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := b.start(e)
	for i, input := range []string{`"safe"`, `"edit"`} {
		task := b.task("pay.tool", func(task *events.Task) { task.Delivery, task.Input = events.AtMostOnce, json.RawMessage(input) })
		b.issue(task)
		reports := b.until("result", atLeast(events.CommandResult, i+1))
		claim, result := reports[2*i], reports[2*i+1]
		if claim.Command != events.CommandClaim || claim.Result.Repeatable != (i == 0) || claim.Result.Generation < 1 {
			t.Errorf("%s: claim %+v", input, claim.Result)
		}
		if got := string(result.Payload); got != "[true,true]" && (i == 1 || got != "[true,false]") {
			t.Errorf("%s: claimed and behind the offset when it ran: %s", input, got)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if over.Load() != 2 {
		t.Errorf("%d attempts were over", over.Load())
	}
}

// Whoever is asked before an attempt can refuse it, or hand it back: nothing is
// claimed, and nothing runs.
func TestAdmission(t *testing.T) {
	b := newBench(t, 1)
	var over atomic.Int32
	done := func() { over.Add(1) }
	e := b.executor(Config{Admit: func(_ context.Context, task *events.Task) (Admission, error) {
		if string(task.Input) == `"full"` {
			return Admission{Done: done}, fmt.Errorf("node: %w", HandBack("NO_ROOM", "all GPUs are taken", 1500*time.Millisecond))
		}
		return Admission{Done: done}, nil
	}}, echo)
	err := e.HandleRunner("pay.tool", runner{
		admit: func(task *events.Task) (Admission, error) {
			switch string(task.Input) {
			case `"unknown"`:
				return Admission{Done: done}, &events.Error{Code: "MCP_UNKNOWN_TOOL", Message: "no such tool"}
			case `"panic"`:
				panic("oops")
			}
			return Admission{Done: done}, nil
		},
		run: func(context.Context, *events.Task) (json.RawMessage, error) {
			t.Error("it ran")
			return nil, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := b.start(e)
	for i, c := range []struct{ input, want string }{
		{`"full"`, "scheduled NO_ROOM: all GPUs are taken, handed back true after 1.5s"},
		{`"unknown"`, "failed MCP_UNKNOWN_TOOL: no such tool, handed back false after 0s"},
		{`"panic"`, "failed PANIC: the handler panicked: oops, handed back false after 0s"},
	} {
		b.issue(b.task("pay.tool", func(task *events.Task) { task.Delivery, task.Input = events.AtMostOnce, json.RawMessage(c.input) }))
		reports := b.until("result", atLeast(events.CommandResult, i+1))
		if len(reports) != i+1 {
			t.Fatalf("reports %v", kinds(reports))
		}
		r := reports[i].Result
		if got := fmt.Sprintf("%s %v, handed back %t after %s", r.State, r.Error, r.HandedBack, r.ResumeAfter); got != c.want {
			t.Errorf("%s: got %s", c.input, got)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if over.Load() != 1+2+1 {
		t.Errorf("%d were told that it is over", over.Load())
	}
}

// An attempt that is put down reports what it goes on with, and frees its slot.
func TestPutDown(t *testing.T) {
	b := newBench(t, 1)
	e := b.executor(Config{Concurrency: 1}, func(_ context.Context, task *events.Task) (json.RawMessage, error) {
		switch {
		case task.Continuation != nil:
			return json.RawMessage(fmt.Sprintf(`{"went on with":%s,"answers":%d}`, task.Continuation, len(task.Answers))), nil
		case string(task.Input) == `"ask"`:
			return nil, Ask(json.RawMessage(`{"step":2}`), events.Question{ID: "sure", Message: "Really?", Form: json.RawMessage(`{"type":"boolean"}`)})
		case string(task.Input) == `"large"`:
			return nil, Continue(json.RawMessage(`"`+string(make([]byte, 1))+`"`), 0)
		default:
			return nil, fmt.Errorf("poll: %w", Continue(json.RawMessage(`{"step":1}`), 2*time.Second))
		}
	})
	stop := b.start(e)
	for i, c := range []struct {
		input string
		want  string
	}{
		{`"wait"`, `scheduled {"step":1} after 2s asks []`},
		{`"ask"`, `waiting_for_input {"step":2} after 0s asks [{"id":"sure","message":"Really?","form":{"type":"boolean"}}]`},
		{`"large"`, `failed  after 0s asks []`},
	} {
		b.issue(b.task("pay.charge", func(task *events.Task) { task.Input = json.RawMessage(c.input) }))
		reports := b.until("result", atLeast(events.CommandResult, i+1))
		last := reports[len(reports)-1]
		asks, _ := json.Marshal(last.Result.Questions)
		if last.Result.Questions == nil {
			asks = []byte("[]")
		}
		if got := fmt.Sprintf("%s %s after %s asks %s", last.Result.State, last.Payload, last.Result.ResumeAfter, asks); got != c.want {
			t.Errorf("%s: got %s", c.input, got)
		}
	}
	b.issue(b.task("pay.charge", func(task *events.Task) {
		task.Continuation, task.Answers = json.RawMessage(`{"step":2}`), []events.Answer{{ID: "sure", Result: json.RawMessage("true")}}
	}))
	reports := b.until("result", atLeast(events.CommandResult, 4))
	if got := string(reports[len(reports)-1].Payload); got != `{"went on with":{"step":2},"answers":1}` {
		t.Errorf("got %s", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
