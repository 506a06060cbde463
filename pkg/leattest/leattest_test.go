package leattest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/leattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const trial = `leat: v1
type: trial
version: 1
initial: greeting
states:
  greeting:
    invoke: {task: mail.greet, input: input, onDone: waiting, onError: failed}
  waiting:
    after: {720h: reminding}
    on: {answer: done}
  reminding:
    invoke: {task: mail.remind, onDone: done, onError: failed}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

type mail struct {
	To string `json:"to"`
}

func greet(_ context.Context, in mail) (string, error) {
	if in.To == "" {
		return "", executor.Fail("NOBODY", "there is nobody to greet", false)
	}
	return "hello " + in.To, nil
}

func remind(context.Context, executor.Task) (executor.Result, error) { return nil, nil }

func prepare(env *leattest.Env) {
	env.Handle("mail.greet", greet)
	env.Handle("mail.remind", remind)
	env.DeploySource(trial)
}

func start(t *testing.T, env *leattest.Env, key, input string) {
	t.Helper()
	if _, err := env.Client().Start(t.Context(), client.StartRequest{Type: "trial", Key: key, Input: json.RawMessage(input)}); err != nil {
		t.Fatal(err)
	}
}

// story is what happened to an instance, and when.
func story(t *testing.T, env *leattest.Env, key string, began time.Time) (lines []string) {
	t.Helper()
	history, err := env.Client().History(t.Context(), "trial", key, client.HistoryRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range history {
		lines = append(lines, fmt.Sprint(history[i].Timestamp.Sub(began).Round(time.Second), " ", history[i].EventType))
	}
	return lines
}

func TestThirtyDaysTakeNoTime(t *testing.T) {
	var first []string
	quickest := time.Hour
	for range 5 {
		before := cpu(t)
		leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
			prepare(env)
			began := time.Now()
			start(t, env, "a", `{"to": "ada"}`)
			env.WaitState("trial", "a", "waiting")
			if i := env.WaitFinished("trial", "a"); i.State != events.WorkflowCompleted {
				t.Errorf("it is %s", i.State)
			}
			if took := time.Since(began); took < 30*24*time.Hour || took > 30*24*time.Hour+time.Minute {
				t.Errorf("it took %s", took)
			}
			lines := story(t, env, "a", began)
			if first == nil {
				first = lines
				t.Logf("%q", first)
			}
			if !slices.Equal(lines, first) {
				t.Errorf("another run, another story:\n%q\n%q", first, lines)
			}
		})
		quickest = min(quickest, cpu(t)-before)
	}
	t.Logf("the quickest of five runs took %s of processor time", quickest)
	if quickest > 2*time.Second { // tens of milliseconds, and a multiple of that under the race detector
		t.Errorf("the quickest of five runs took %s of processor time", quickest)
	}
}

// cpu is the processor time that this process has used: unlike a clock it does not
// know what else the machine does.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func TestRealTime(t *testing.T) {
	t.Parallel()
	env := leattest.Start(t)
	prepare(env)
	start(t, env, "a", `{"to": "ada"}`)
	env.WaitState("trial", "a", "waiting")
	if _, err := env.Client().Signal(t.Context(), client.SignalRequest{Type: "trial", Key: "a", Event: "answer"}); err != nil {
		t.Fatal(err)
	}
	env.WaitFinished("trial", "a")
	start(t, env, "b", `{}`)
	if i := env.WaitFinished("trial", "b"); i.State != events.WorkflowFailed {
		t.Errorf("it is %s", i.State)
	}
}

// Engines side by side have nothing to do with one another, in any time.
func TestEnginesKnowNothingOfEachOther(t *testing.T) {
	for i := range 4 {
		t.Run("engine "+strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			body := func(t *testing.T, env *leattest.Env) {
				prepare(env)
				env.Handle("mail.greet", func(context.Context, mail) (int, error) { return i, nil })
				start(t, env, "a", `{"to": "ada"}`)
				env.WaitState("trial", "a", "waiting")
				history, err := env.Client().History(t.Context(), "trial", "a", client.HistoryRequest{})
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range history {
					if e.EventType == events.EventTaskCompleted && string(e.Payload) != strconv.Itoa(i) {
						t.Errorf("the handler of another engine gave %s", e.Payload)
					}
				}
			}
			if i%2 == 0 {
				leattest.Virtual(t, body)
				return
			}
			body(t, leattest.Start(t))
		})
	}
}

// What handlers and the test itself wait for is virtual too, and a test may bring
// clients and executors of its own.
func TestAllTimeIsVirtual(t *testing.T) {
	leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
		w, err := executor.New(executor.Config{Brokers: env.Brokers()})
		if err != nil {
			t.Fatal(err)
		}
		executor.Handle(w, "mail.greet", func(ctx context.Context, _ mail) (string, error) {
			select {
			case <-time.After(20 * time.Minute):
				return "slow", nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		})
		executor.Handle(w, "mail.remind", func(context.Context, mail) (string, error) { return "", nil })
		env.DeploySource(trial)
		env.Run(w.Run)
		c, err := client.New(client.Config{Brokers: env.Brokers()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Start(t.Context(), client.StartRequest{Type: "trial", Key: "a", Input: json.RawMessage(`{"to": "ada"}`)}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		env.WaitState("trial", "a", "waiting")
		if took := time.Since(began); took < 20*time.Minute || took > time.Hour {
			t.Errorf("it took %s", took)
		}
		time.Sleep(10 * 24 * time.Hour)
		if _, err := c.Signal(t.Context(), client.SignalRequest{Type: "trial", Key: "a", Event: "answer"}); err != nil {
			t.Fatal(err)
		}
		env.WaitFinished("trial", "a")
	})
}

func TestManyAtOnce(t *testing.T) {
	leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
		prepare(env)
		for i := range 50 {
			start(t, env, strconv.Itoa(i), `{"to": "ada"}`)
		}
		for i := range 50 {
			env.WaitFinished("trial", strconv.Itoa(i))
		}
	})
}

// Executors come and go in virtual time as in any other: the group is rebalanced,
// and no task is lost.
func TestExecutorsShareAQueue(t *testing.T) {
	leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
		prepare(env)
		for i := range 3 {
			w, err := executor.New(executor.Config{Brokers: env.Brokers(), NodeID: fmt.Sprint("node ", i)})
			if err != nil {
				t.Fatal(err)
			}
			executor.Handle(w, "mail.greet", greet)
			executor.Handle(w, "mail.remind", func(context.Context, mail) (string, error) { return "", nil })
			env.Run(w.Run)
			for k := range 10 {
				start(t, env, fmt.Sprint(i, k), `{"to": "ada"}`)
			}
			env.Handle("mail.greet", greet) // one leaves, one comes
		}
		for i := range 3 {
			for k := range 10 {
				if s := env.WaitFinished("trial", fmt.Sprint(i, k)); s.State != events.WorkflowCompleted {
					t.Errorf("it is %s", s.State)
				}
			}
		}
	})
}

func TestCases(t *testing.T) {
	leattest.Cases(t, "../../examples/payment_processing/payment_processing_cases.json")
}

// failing are tests that fail on purpose, and what they have to say.
var failing = map[string]struct {
	test func(*testing.T)
	say  []string
}{
	"ends elsewhere": {func(t *testing.T) {
		env := leattest.Start(t)
		prepare(env)
		start(t, env, "a", `{}`)
		env.WaitState("trial", "a", "waiting")
	}, []string{
		"leattest: trial a will never be in state waiting: it is failed, in state failed", "NOBODY",
		"task.scheduled", "task.failed", "workflow.failed",
	}},
	"a handler panics": {func(t *testing.T) {
		leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
			prepare(env)
			env.Handle("mail.greet", func(context.Context, mail) (string, error) { panic("out of stamps") })
			start(t, env, "a", `{"to": "ada"}`)
			env.WaitState("trial", "a", "waiting")
		})
	}, []string{"handler panicked", "out of stamps", "leattest_test.go", "PANIC", "will never be in state waiting"}},
	"a handler that waits for ever": {func(t *testing.T) {
		leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
			env.DeploySource(strings.Replace(trial, "onDone: waiting", "timeout: {heartbeat: 1h}, onDone: waiting", 1))
			env.Handle("mail.greet", func(ctx context.Context, _ mail) (string, error) { <-ctx.Done(); return "", ctx.Err() })
			start(t, env, "a", `{"to": "ada"}`)
			env.WaitState("trial", "a", "waiting")
		})
	}, []string{"after 24h0m0s of virtual time a handler has not returned: mail.greet of trial a (attempt 1)", "task mail.greet is running (attempt 1)"}},
	"a handler that ignores its end": {func(t *testing.T) {
		leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
			prepare(env)
			env.Handle("mail.greet", func(context.Context, mail) (string, error) { select {} })
			start(t, env, "a", `{"to": "ada"}`)
			time.Sleep(time.Second)
		})
	}, []string{"handlers did not return", "mail.greet", "attempt 1"}},
	"waits for ever": {func(t *testing.T) {
		leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
			env.DeploySource(strings.Replace(trial, "after: {720h: reminding}", "", 1))
			env.Handle("mail.greet", greet)
			start(t, env, "a", `{"to": "ada"}`)
			env.WaitFinished("trial", "a")
		})
	}, []string{"nothing has happened for 365d0s of virtual time, and nothing will", "trial a: it is running, in state waiting"}},
	"no handler": {func(t *testing.T) {
		leattest.Start(t).Handle("mail.greet", func(string) {})
	}, []string{"leattest: handle mail.greet: func(string) is not a handler: want func(ctx context.Context, in In) (Out, error)"}},
	"a bad definition": {func(t *testing.T) {
		leattest.Start(t).DeploySource("leat: v1\ntype: trial\nversion: 1\ninitial: nowhere\nstates: {a: {}}\n")
	}, []string{"nowhere"}},
}

// TestFailing is run by TestWhatFailsExplainsItself, one test at a time.
func TestFailing(t *testing.T) {
	one, ok := failing[os.Getenv("LEATTEST_FAILING")]
	if !ok {
		t.Skip("TestWhatFailsExplainsItself runs it")
	}
	one.test(t)
}

func TestWhatFailsExplainsItself(t *testing.T) {
	for name, one := range failing {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFailing$", "-test.timeout=100s")
			cmd.Env = append(os.Environ(), "LEATTEST_FAILING="+name)
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
				t.Errorf("it did not fail: %v", err)
			}
			for _, say := range one.say {
				if !strings.Contains(string(out), say) {
					t.Errorf("it does not say %q", say)
				}
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("%s", out)
			}
		})
	}
}
