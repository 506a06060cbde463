package fsm_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// The scripts in testdata/scripts say what the interpreter does. Commands:
// define, start, event NAME, claim, beat, done, fail INVOCATION [code=X]
// [final] [node=N] [token=T], advance DURATION. The text below a command is
// JSON data. After define tokens every attempt has a token, and reports bring it
// unless they say another, or none.
// Run with -rewrite after a change, and read the difference.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{now: noon}
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			out, err := s.run(d)
			if err != nil {
				return "error: " + err.Error()
			}
			return out
		})
	})
}

type script struct {
	m     *fsm.Machine
	chart events.Chart
	now   time.Time

	tokens map[string]string // of the newest attempts, by invocation; nil: they have none
}

func (s *script) run(d *datadriven.TestData) (string, error) {
	data := json.RawMessage(strings.TrimSpace(d.Input))
	if len(data) == 0 {
		data = nil
	}
	arg := ""
	if len(d.CmdArgs) > 0 {
		arg = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "define":
		s.tokens = nil
		if d.HasArg("tokens") {
			s.tokens = map[string]string{}
		}
		m, findings, err := definition.Parse("chart.yaml", []byte("leat: v1\ntype: test\nversion: 1\n"+d.Input))
		s.m, s.chart, s.now = m, events.Chart{}, noon
		if err != nil || len(findings) > 0 {
			return findings.String(), nil //nolint:nilerr // the findings say what is wrong
		}
		return "ok", nil
	case "start":
		s.chart = events.Chart{}
		return s.step(fsm.Input{Kind: fsm.InputStart, Data: data})
	case "event":
		return s.step(fsm.Input{Kind: fsm.InputEvent, Name: arg, Data: data})
	case "advance":
		return s.advance(arg)
	case "retry":
		return s.step(fsm.Input{Kind: fsm.InputRetry, Skip: d.HasArg("skip")})
	case "claim", "beat", "done", "fail":
		return s.report(d, arg, data)
	default:
		return "", fmt.Errorf("unknown command %s", d.Cmd)
	}
}

func (s *script) report(d *datadriven.TestData, invocation string, data json.RawMessage) (string, error) {
	kinds := map[string]fsm.InputKind{"claim": fsm.InputClaim, "beat": fsm.InputHeartbeat, "done": fsm.InputResult, "fail": fsm.InputResult}
	r := &events.TaskResult{NodeID: cmp.Or(value(d, "node"), "n1"), Attempt: 1, Token: s.tokens[invocation]}
	switch token := value(d, "token"); token {
	case "":
	case "none":
		r.Token = ""
	default:
		r.Token = token
	}
	for _, t := range s.chart.Tasks {
		if t.Invocation == invocation {
			r.TaskID, r.Attempt = t.TaskID, t.Attempt
		}
	}
	if d.HasArg("attempt") {
		var n int64
		_, _ = fmt.Sscan(value(d, "attempt"), &n)
		r.Attempt = int32(n)
	}
	switch d.Cmd {
	case "beat":
		r.HeartbeatDetails, data = data, nil
	case "done":
		r.State = events.TaskCompleted
	case "fail":
		r.HeartbeatDetails, data = data, nil
		if after := value(d, "after"); after != "" {
			wait, err := fsm.ParseDuration(after)
			if err != nil {
				return "", err
			}
			r.RetryAfter = wait
		}
		r.State = events.TaskFailed
		r.Error = &events.Error{Code: cmp.Or(value(d, "code"), "E"), Message: "bad", Retryable: !d.HasArg("final")}
	}
	return s.step(fsm.Input{Kind: kinds[d.Cmd], Task: r, Data: data})
}

// value is what an argument says, "" when it is not there.
func value(d *datadriven.TestData, name string) string {
	for _, arg := range d.CmdArgs {
		if arg.Key == name && len(arg.Vals) > 0 {
			return arg.Vals[0]
		}
	}
	return ""
}

// advance fires what becomes due, in order.
func (s *script) advance(text string) (string, error) {
	d, err := fsm.ParseDuration(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for to := s.now.Add(d); ; {
		next := -1
		for i, t := range s.chart.Timers {
			if !t.Due.After(to) && (next < 0 || t.Due.Before(s.chart.Timers[next].Due)) {
				next = i
			}
		}
		if next < 0 {
			s.now = to
			return out.String() + s.where(), nil
		}
		s.now = s.chart.Timers[next].Due
		text, err := s.decide(fsm.Input{Kind: fsm.InputTimer, TimerID: s.chart.Timers[next].ID})
		if err != nil {
			return "", err
		}
		out.WriteString(text)
		if strings.HasPrefix(text, "incident") { // the timer is as it was
			return out.String() + s.where(), nil
		}
	}
}

func (s *script) step(in fsm.Input) (string, error) {
	out, err := s.decide(in)
	return out + s.where(), err
}

func (s *script) decide(in fsm.Input) (string, error) {
	in.Instance, in.Now = instance, s.now
	if s.tokens != nil {
		in.Seed = []byte(s.now.String())
	}
	chart, effects, err := s.m.Step(s.chart, in)
	if parked, ok := errors.AsType[*fsm.Incident](err); ok {
		return "incident: " + parked.Error() + "\n", nil
	}
	if err != nil {
		return "", err
	}
	s.chart = chart
	if err := s.m.CheckChart(chart); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, e := range effects {
		out.WriteString(describe(e))
		if start, ok := e.(fsm.StartTask); ok && s.tokens != nil {
			s.tokens[start.Invocation] = start.Token
		}
	}
	return out.String(), nil
}

// where prints the configuration and the data.
func (s *script) where() string {
	data, _ := json.Marshal(s.chart.Data)
	var out strings.Builder
	fmt.Fprintf(&out, "= %s %s", strings.Join(s.chart.Active, " "), data)
	for _, t := range s.chart.Tasks {
		fmt.Fprintf(&out, " %s:%s/%d", t.Invocation, t.State, t.Attempt)
	}
	for _, t := range s.chart.Timers {
		fmt.Fprintf(&out, " %d:%s@%s", t.ID, t.Kind, t.Due.Sub(noon))
	}
	return out.String() + "\n"
}

func describe(e fsm.Effect) string {
	switch e := e.(type) {
	case fsm.Started:
		return fmt.Sprintf("started %v\n", e.Entered)
	case fsm.Transitioned:
		return fmt.Sprintf("%s: -%v +%v\n", e.Event, e.Exited, e.Entered)
	case fsm.StartTask:
		out := fmt.Sprintf("start %s (%s) attempt %d %s", e.Invocation, e.Name, e.Attempt, e.Input)
		if e.HeartbeatDetails != nil {
			out += "details " + string(e.HeartbeatDetails)
		}
		return out + "\n"
	case fsm.TaskChanged:
		out := fmt.Sprintf("task %s %s -> %s attempt %d %s", e.Invocation, e.From, e.To, e.Attempt, e.Result)
		if e.Error != nil {
			out += " " + e.Error.Error()
		}
		if !e.RetryAt.IsZero() {
			out += " retry at " + e.RetryAt.Sub(noon).String()
		}
		return strings.TrimSpace(out) + "\n"
	case fsm.CancelTask:
		return ""
	case fsm.DependencyResolved:
		return fmt.Sprintf("resolved %s needs %v\n", e.Invocation, e.Needs)
	case fsm.DependencyFailed:
		return fmt.Sprintf("hopeless %s needs %s, which is %s\n", e.Invocation, e.Need, e.State)
	case fsm.SlotGiven:
		return fmt.Sprintf("slot of %s for %s\n", e.Limit, e.Invocation)
	case fsm.Heartbeat:
		return "heartbeat\n"
	case fsm.Emitted:
		return fmt.Sprintf("emit %s %s\n", e.Event, e.Data)
	case fsm.SendSignal:
		return fmt.Sprintf("send %s to %s/%s %s\n", e.Event, e.Type, e.To, e.Data)
	case fsm.Logged:
		return "log " + e.Message + "\n"
	case fsm.TimerSet:
		return fmt.Sprintf("set %d %s %s\n", e.ID, e.Kind, e.Event)
	case fsm.TimerCancelled:
		return fmt.Sprintf("cancel %d\n", e.ID)
	case fsm.TimerFired:
		return fmt.Sprintf("fired %d %s\n", e.ID, e.Kind)
	case fsm.CompensationStarted:
		return fmt.Sprintf("compensate %v\n", e.Invocations)
	case fsm.CompensationEnded:
		if e.GoesOn {
			return "compensated, goes on\n"
		}
		return "compensated\n"
	case fsm.CompensationFailed:
		return fmt.Sprintf("not undone %s %v\n", e.Invocation, e.Error)
	case fsm.Retried:
		return fmt.Sprintf("retried +%v\n", e.Entered)
	case fsm.Ended:
		return fmt.Sprintf("ended %s %s %v\n", e.State, e.Output, e.Error)
	case fsm.Ignored:
		return fmt.Sprintf("ignored %s\n", e.Code)
	default:
		return fmt.Sprintf("%T\n", e)
	}
}
