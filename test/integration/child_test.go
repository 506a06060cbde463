package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/test/audit"
)

// kid does what it is told: it works, breaks or waits. heir is the same, under
// keys.
const kid = `
leat: v1
type: kid
version: 1
input: {type: object, properties: {how: {type: string}}}
initial: choosing
states:
  choosing:
    always:
      - {guard: "input.how == 'wait'", target: waiting}
      - {guard: "input.how == 'break'", target: broken}
      - {target: working}
  working:
    invoke: {task: kid.work, timeout: 20s, onDone: done, onError: broken}
  waiting:
    on: {go: done}
  done: {type: final, output: {how: input.how}}
  broken: {type: final, outcome: failed, error: {code: BROKEN}}
`

const family = `
leat: v1
type: family
version: 1
input: {type: object, properties: {how: {type: string}, heir: {type: string}}}
initial: choosing
states:
  choosing:
    always:
      - {guard: "input.how == 'hold'", target: holding}
      - {guard: "input.how == 'join'", target: joining}
      - {target: first}
  first:
    invoke: {id: first, workflow: {type: kid}, input: {how: "'work'"}, onDone: second, onError: lost}
  second:
    invoke:
      id: second
      workflow: {type: kid}
      input: {how: "'break'"}
      retry: {policy: fixed, initial: 20ms, maxAttempts: 2}
      onDone: lost
      onError: [{guard: "event.data.code == 'BROKEN'", target: third}, {target: lost}]
  third:
    invoke:
      id: third
      workflow: {type: heir, key: input.heir}
      input: {how: "'work'"}
      onDone: fourth
      onError: [{guard: "event.data.code == 'ALREADY_STARTED'", target: fourth}, {target: lost}]
  fourth:
    invoke: {id: fourth, workflow: {type: kid, parentClose: abandon}, input: {how: "'wait'"}, onDone: lost, onError: lost}
    after: {20ms: done}
  holding:
    invoke: {id: holding, workflow: {type: kid}, input: {how: "'wait'"}, onDone: lost, onError: lost}
  joining:
    invoke:
      id: joining
      workflow: {type: heir, key: input.heir, parentClose: abandon}
      input: {how: "'wait'"}
      timeout: 500ms
      retry: {policy: fixed, initial: 20ms, maxAttempts: 1000}
      onDone: done
      onError: lost
  done: {type: final}
  lost: {type: final, outcome: failed, error: {code: LOST}}
`

// member is the n-th parent: one of five is cancelled while its child waits, and
// one of five has a child that later attempts join. Every seventh wants the heir
// that another one may have.
func member(n int) client.StartRequest {
	key := fmt.Sprint("f", n)
	how, heir := "walk", key
	switch {
	case n%5 == 1:
		how = "hold"
	case n%5 == 2:
		how = "join"
	case n%7 == 0:
		heir = "shared"
	}
	return client.StartRequest{Type: "family", Key: key, Input: map[string]string{"how": how, "heir": heir}}
}

// Parents and children outlive a router: each attempt has one child and hears
// once how it ended, and who is not waited for ends or goes on as it was said.
func TestChildrenOutliveARouter(t *testing.T) {
	each(t, func(w *world) {
		for _, source := range []string{kid, heirOf(kid), family} {
			w.deploy(source)
		}
		w.executor(map[string]executor.Handler{"kid.*": succeed(nil)})
		l := w.loadOf(40*time.Millisecond, member)
		first, _ := w.pair()
		cancel := client.LifeRequest{Type: "family", Key: "f1", Command: events.CommandCancel, Reason: "a test"}
		w.stands("family", "f1", func(s client.Instance) bool { return waitsFor(&s) != nil })
		if _, err := w.direct.Send(w.ctx, cancel); err != nil { // nobody waits for what becomes of it
			w.Fatal(err)
		}
		first.kill()
		l.more(w, 35)
		n := l.stop()
		w.raise(n)

		w.audit(func(b *audit.Books) error { return finished(len(b.Events))(b) })
		w.families(n)
	})
}

// heirOf is a definition under the name of heirs.
func heirOf(source string) string { return strings.Replace(source, "type: kid", "type: heir", 1) }

// raise asks for what parents and children wait for, until n parents have ended:
// who holds is cancelled, and an heir that a second attempt has joined goes on.
// Kids that were abandoned go on when their parents are gone.
func (w *world) raise(n int) {
	w.Helper()
	asked := make(map[events.UUID]bool)
	w.until(func() error {
		b := w.books("family")
		for id, states := range b.States {
			s := &states[len(states)-1]
			t := waitsFor(s)
			if asked[id] || t == nil || t.Invocation == "joining" && t.Attempt < 2 {
				continue
			}
			switch t.Invocation {
			case "holding":
				asked[id] = true
				w.tell(w.direct.Send(w.ctx, client.LifeRequest{Type: "family", InstanceID: id, Command: events.CommandCancel}))
			case "joining":
				asked[id] = true
				w.tell(w.direct.Signal(w.ctx, client.SignalRequest{Type: "heir", Key: s.Key, Event: "go"}))
			default:
			}
		}
		return finished(n)(b)
	})
	for _, list := range w.books("family").Events {
		for i := range list {
			if e := &list[i].Event; e.EventType == events.EventTaskScheduled && audit.Text(e, "invocation") == "fourth" {
				w.tell(w.direct.Signal(w.ctx, client.SignalRequest{Type: "kid", InstanceID: w.id(audit.Text(e, "child_id")), Event: "go"}))
			}
		}
	}
}

// tell expects that a command was written.
func (w *world) tell(_ client.Receipt, err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// waitsFor is the task whose child an instance waits for.
func waitsFor(s *events.Snapshot) *events.TaskStatus {
	for i := range s.Chart.Tasks {
		if t := &s.Chart.Tasks[i]; t.Child != nil && !t.State.Finished() {
			return t
		}
	}
	return nil
}

func (w *world) id(text string) events.UUID {
	w.Helper()
	id, err := events.ParseUUID(text)
	if err != nil {
		w.Fatal(err)
	}
	return id
}

func (w *world) books(workflowType string) *audit.Books {
	w.Helper()
	b, err := audit.Read(w.ctx, w.kafka.Brokers, w.names, workflowType)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// attempt is one that asked for a child.
type attempt struct {
	task   string
	number int64
}

// families audits n parents and their children together.
func (w *world) families(n int) {
	w.Helper()
	books := map[string]*audit.Books{"family": w.books("family"), "kid": w.books("kid"), "heir": w.books("heir")}
	w.sentOnce(books)
	parents := books["family"]
	if len(parents.Events) != n {
		w.Errorf("%d parents, want %d", len(parents.Events), n)
	}
	children, ends := make(map[string]bool), make(map[string]int)
	for id, list := range parents.Events {
		asked := make(map[attempt]*events.Event)
		results := make(map[string]int)
		for i := range list {
			e := &list[i].Event
			a := attempt{audit.Text(e, "task_id"), e.Data["attempt"].Int()}
			switch e.EventType {
			case events.EventTaskScheduled:
				asked[a] = e
				children[audit.Text(e, "child_id")] = true
				w.born(books, e)
			case events.EventTaskCompleted, events.EventTaskFailed, events.EventTaskCancelled:
				results[a.task]++
				ends[audit.Text(e, "invocation")+" "+string(e.EventType)]++
				if asked[a] == nil {
					w.Errorf("%s/%d ends an attempt that nobody asked for", id, e.SequenceNumber)
				}
			default:
			}
		}
		for a := range asked {
			if results[a.task] != 1 {
				w.Errorf("%s: task %s ended %d times", id, a.task, results[a.task])
			}
		}
		states := parents.States[id]
		if s, want := &states[len(states)-1], wanted(list); s.State != want {
			w.Errorf("parent %s is %s: %v, want %s", s.Key, s.State, s.Error, want)
		}
	}
	if got := len(books["kid"].Events) + len(books["heir"].Events); got != len(children) {
		w.Errorf("%d children, %d were asked for", got, len(children))
	}
	w.Logf("%d parents, %d children; %v", n, len(children), ends)
	for _, some := range []string{"first task.completed", "second task.failed", "third task.completed", "third task.failed", "fourth task.cancelled", "holding task.cancelled", "joining task.completed"} {
		if ends[some] == 0 {
			w.Errorf("the load has no %q: %v", some, ends)
		}
	}
}

// wanted is how a parent with this history ends.
func wanted(list []audit.Event) events.WorkflowState {
	for i := range list {
		if audit.Text(&list[i].Event, "invocation") == "holding" {
			return events.WorkflowCancelled
		}
	}
	return events.WorkflowCompleted
}

// born checks the child that an event asked for: it is there, its causes follow
// on those of the event, and it ended as it should.
func (w *world) born(books map[string]*audit.Books, by *events.Event) {
	w.Helper()
	id, invocation := w.id(audit.Text(by, "child_id")), audit.Text(by, "invocation")
	b := books[audit.Text(by, "child_type")]
	if len(b.Events[id]) == 0 {
		w.Errorf("%s of %s has no child", invocation, by.InstanceID)
		return
	}
	created := &b.Events[id][0].Event
	mine := audit.Text(created, "parent_task") == audit.Text(by, "task_id")
	if !mine && invocation != "third" {
		w.Errorf("the child %s of %s is of task %s", id, by.InstanceID, audit.Text(created, "parent_task"))
	}
	if !mine || !created.Data["parent_attempt"].Equal(by.Data["attempt"]) {
		return // it was there already
	}
	if want := append(slices.Clone(by.CorrelationChain), by.EventID); !slices.Equal(created.CorrelationChain, want) || created.CausationID != by.EventID {
		w.Errorf("the chain of child %s is %v, want %v", id, created.CorrelationChain, want)
	}
	if created.CorrelationID != by.CorrelationID {
		w.Errorf("the correlation of child %s is %s, of its parent %s", id, created.CorrelationID, by.CorrelationID)
	}
	want := events.WorkflowCompleted
	switch invocation {
	case "second":
		want = events.WorkflowFailed
	case "holding":
		want = events.WorkflowCancelled
	default:
	}
	if states := b.States[id]; states[len(states)-1].State != want {
		w.Errorf("the child of %s is %s, want %s", invocation, states[len(states)-1].State, want)
	}
}

// sentOnce: whatever routers said to children and to parents stands once.
func (w *world) sentOnce(books map[string]*audit.Books) {
	w.Helper()
	for workflowType, b := range books {
		stands := make(map[events.UUID]int)
		for i := range b.Commands {
			c := &b.Commands[i]
			if c.Parent == nil && (workflowType != "family" || c.Result == nil) {
				continue
			}
			if stands[c.CommandID]++; stands[c.CommandID] == 2 {
				w.Errorf("%s: %s %s was sent twice", workflowType, c.Command.Command, c.CommandID)
			}
		}
	}
}

const leave = `
leat: v1
type: leave
version: 1
initial: asking
states:
  asking:
    invoke:
      id: approve
      human: {assignee: "'ann'", form: {type: object, required: [ok], properties: {ok: {type: boolean}}}}
      onDone: [{target: granted, guard: event.data.ok}, {target: refused}]
      onError: refused
  granted: {type: final}
  refused: {type: final, outcome: failed}
`

// A person's task is claimed, and ended by who has it, as the form asks.
func TestAPersonEndsATask(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(leave)
		w.router("r1")
		w.do(client.StartRequest{Type: "leave", Key: "l"})
		var task events.TaskStatus
		w.stands("leave", "l", func(s client.Instance) bool {
			if len(s.Chart.Tasks) == 1 {
				task = s.Chart.Tasks[0]
			}
			return task.State == events.TaskWaitingForInput
		})
		says := func(by, result string) client.TaskRequest {
			return client.TaskRequest{Type: "leave", Key: "l", TaskID: task.TaskID, Attempt: task.Attempt, By: by, Result: json.RawMessage(result)}
		}
		claim := says("ann", "")
		claim.Claim, claim.Result = true, nil
		w.do(claim)
		w.refused(says("bob", `{"ok":true}`), client.ErrConflict, "ann")
		w.refused(says("ann", `{"ok":"yes"}`), client.ErrRejected, "ok")
		w.do(says("ann", `{"ok":true}`))
		if i := w.end("leave", "l"); i.State != events.WorkflowCompleted || !slices.Equal(i.Chart.Active, []string{"granted"}) {
			w.Errorf("it is %s in %v", i.State, i.Chart.Active)
		}
		w.audit(finished(1))
	})
}
