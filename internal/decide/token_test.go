package decide

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

const charging = `
leat: v1
type: law
version: 1
initial: idle
states:
  idle: {on: {go: busy}}
  busy:
    invoke: {task: q.work, retry: {maxAttempts: 3, initial: 1s}, onDone: {target: idle, guard: "event.data.ok == 1"}, onError: idle}
    on: {stop: idle}
`

// TestForgedReportsChangeNothing says that whatever has happened, a report
// without the token of its attempt leaves no trace but an answer, and that the
// one with the token is taken after it. No token is given twice, and nothing
// but the task record shows one.
func TestForgedReportsChangeNothing(t *testing.T) {
	machine := parse(t, charging)
	rapid.Check(t, func(t *rapid.T) {
		l := &tokenLaw{t: t, machine: machine, now: epoch, given: map[string]bool{}}
		l.say(&events.Command{Command: events.CommandStart})
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			l.now = l.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			if timers := l.snap.Chart.Timers; len(timers) > 0 && !timers[0].Due.After(l.now) && !l.snap.Holding() {
				l.take(l.decide(Input{Timer: &timers[0]}))
				continue
			}
			l.say(l.draw())
		}
	})
}

type tokenLaw struct {
	t       *rapid.T
	machine *fsm.Machine
	snap    *events.Snapshot
	now     time.Time
	said    int
	given   map[string]bool
	token   string // of the newest attempt
}

func (l *tokenLaw) draw() *events.Command {
	switch what := rapid.SampledFrom([]string{"go", "stop", "pause", "resume", "retry", "claim", "heartbeat", "result"}).Draw(l.t, "what"); what {
	case "go", "stop":
		return &events.Command{Command: events.CommandSignal, Event: what}
	case "pause", "resume", "retry":
		return &events.Command{Command: events.CommandType(what), Skip: what == "retry" && rapid.Bool().Draw(l.t, "skip")}
	default:
		return l.report(events.CommandType(what), "node")
	}
}

// report is one of the newest attempt of the last task, or of one that there never was.
func (l *tokenLaw) report(kind events.CommandType, node string) *events.Command {
	r := &events.TaskResult{TaskID: events.Namespace, Attempt: 1, NodeID: node, Token: l.token}
	if n := len(l.snap.Chart.Tasks); n > 0 {
		task := &l.snap.Chart.Tasks[n-1]
		r.TaskID, r.Attempt = task.TaskID, max(1, task.Attempt)
	}
	c := &events.Command{Command: kind, Result: r}
	if kind != events.CommandResult {
		return c
	}
	r.State = rapid.SampledFrom([]events.TaskState{events.TaskCompleted, events.TaskFailed}).Draw(l.t, "state")
	if r.State == events.TaskFailed {
		r.Error = &events.Error{Code: "X", Message: "x", Retryable: rapid.Bool().Draw(l.t, "retryable")}
		return c
	}
	c.Payload = json.RawMessage(rapid.SampledFrom([]string{`{"ok":1}`, `{}`}).Draw(l.t, "data"))
	return c
}

func (l *tokenLaw) say(c *events.Command) {
	if c.Result != nil {
		forged, r := *c, *c.Result
		r.Token = rapid.SampledFrom([]string{"", "forged", events.HashToken(r.Token), events.ClaimToken(nil, r.TaskID, r.Attempt)}).Draw(l.t, "token")
		forged.Result = &r
		if d := l.command(&forged); d.Next != nil || len(d.Events) > 0 {
			l.t.Fatalf("a forged %s was taken: %+v", c.Command, d)
		}
	}
	l.take(l.command(c))
}

func (l *tokenLaw) command(c *events.Command) Decision {
	l.said++
	c.WorkflowType, c.Key = "law", "k"
	c.Resolve(events.DeriveUUID(events.Namespace, fmt.Sprint("said ", l.said)))
	return l.decide(Input{Command: c})
}

func (l *tokenLaw) decide(in Input) Decision {
	in.Machine, in.Now, in.Source, in.Seed = l.machine, l.now, "r", fmt.Append(nil, "seed ", l.said)
	d, err := Decide(in, l.snap)
	if err != nil {
		l.t.Fatal(err)
	}
	return d
}

func (l *tokenLaw) take(d Decision) {
	for i := range d.Tasks {
		l.token = d.Tasks[i].Token
		if l.token == "" || l.given[l.token] {
			l.t.Fatalf("token %q is none, or was given before", l.token)
		}
		l.given[l.token] = true
	}
	if d.Next != nil {
		l.snap = d.Next
	}
	shown, err := json.Marshal([]any{l.snap, d.Events, d.Outcome, d.Later, d.Tasks, d.Audit})
	if err != nil {
		l.t.Fatal(err)
	}
	for token := range l.given {
		if strings.Contains(string(shown), token) || strings.Contains(string(shown), events.HashToken(token)) {
			l.t.Fatalf("the token %s is shown: %s", token, shown)
		}
	}
}
