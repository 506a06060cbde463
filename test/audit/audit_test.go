package audit

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// simple is the definition that the sound history is of.
const simple = `
leat: v1
type: t
version: 1
states:
  working: {invoke: {task: q.work, onDone: done, onError: done}}
  done: {type: final}
`

// sound is a history of one instance with a finished task, in order.
func sound(t *testing.T) *Books {
	t.Helper()
	machine, _, err := definition.Parse("t.yaml", []byte(simple))
	if err != nil {
		t.Fatal(err)
	}
	id := events.InstanceIDForKey("t", "k")
	start, result, task := events.DeriveUUID(id, "start"), events.DeriveUUID(id, "result"), events.DeriveUUID(id, "task/1")
	b := &Books{
		workflowType: "t", partitions: 1, Events: map[events.UUID][]Event{}, States: map[events.UUID][]events.Snapshot{},
		Outcomes: map[events.UUID][]events.Outcome{}, machines: map[int32]*fsm.Machine{1: machine},
		Tasks: []events.Task{{TaskID: task, Attempt: 1, InstanceID: id, WorkflowType: "t"}},
	}
	for i, c := range []events.Command{{CommandID: start, Command: events.CommandStart}, {CommandID: result, Command: events.CommandResult}} {
		c.InstanceID, c.WorkflowType = id, "t"
		b.Commands = append(b.Commands, Command{Command: c, Offset: int64(i)})
	}
	working, done := events.Strings([]string{"working"}), events.Strings([]string{"done"})
	ofTask := func() map[string]events.ContextValue {
		return map[string]events.ContextValue{
			"task_id": events.String(task.String()), "task": events.String("q.work"), "invocation": events.String("working"), "attempt": events.Long(1),
		}
	}
	first, asked, ended := events.EventID("t", id, 1), events.EventID("t", id, 3), events.EventID("t", id, 4)
	for i, e := range []events.Event{
		{EventType: events.EventWorkflowCreated, Data: map[string]events.ContextValue{"key": events.String("k"), "priority": events.String("normal")}},
		{EventType: events.EventWorkflowStarted, Data: map[string]events.ContextValue{"active": working}, CorrelationChain: []events.UUID{first}},
		{EventType: events.EventTaskScheduled, Data: ofTask(), CorrelationChain: []events.UUID{first}},
		{EventType: events.EventTaskCompleted, Data: ofTask(), CorrelationChain: []events.UUID{first, asked}},
		{EventType: events.EventStateTransitioned, Data: map[string]events.ContextValue{
			"event": events.String("done.invoke.working"), "exited": working, "entered": done, "active": done,
		}, CorrelationChain: []events.UUID{first, asked, ended}},
		{EventType: events.EventWorkflowCompleted, Data: map[string]events.ContextValue{
			"active": done, "state": events.String(string(events.WorkflowCompleted)),
		}, CorrelationChain: []events.UUID{first, asked, ended}},
	} {
		command := start
		e.Timestamp = time.Unix(1, 0)
		if i >= 3 {
			command, e.Timestamp = result, time.Unix(2, 0)
		}
		e.WorkflowType, e.InstanceID, e.SequenceNumber, e.CorrelationID = "t", id, int64(i+1), start
		e.EventID = events.EventID("t", id, e.SequenceNumber)
		if n := len(e.CorrelationChain); n > 0 {
			e.CausationID = e.CorrelationChain[n-1]
		}
		e.Metadata = map[string]events.ContextValue{
			events.MetadataCommandID: events.String(command.String()), events.MetadataVersion: events.Long(1),
		}
		b.Events[id] = append(b.Events[id], Event{Event: e, Offset: int64(i)})
	}
	r, err := b.replay(b.Events[id])
	if err != nil || r.Difference != nil {
		text, _ := json.Marshal(r.Difference)
		t.Fatalf("the sound history does not replay: %v %s", err, text)
	}
	b.States[id] = []events.Snapshot{*r.Snapshot}
	return b
}

// faults is what the laws that need no definition find.
func faults(b *Books) []string {
	b.checkLaws()
	return b.wrong
}

// ask adds a command that nothing in the history follows from.
func (b *Books) ask(c events.Command) { b.Commands = append(b.Commands, Command{Command: c}) }

// The auditor finds nothing in what is sound, and every fault in what is not.
func TestEveryBrokenLawIsFound(t *testing.T) {
	id := events.InstanceIDForKey("t", "k")
	if wrong := sound(t).Wrong(); len(wrong) > 0 {
		t.Fatalf("in a sound history: %q", wrong)
	}
	for name, change := range map[string]func(*Books){
		"child": func(b *Books) { b.Events[id][2].Data["child_id"], b.Tasks = events.String("c"), nil },
		"human": func(b *Books) {
			b.Events[id][2].Data["state"], b.Tasks = events.String(string(events.TaskWaitingForInput)), nil
		},
		"told by its parent": func(b *Books) { b.ask(events.Command{CommandID: id, InstanceID: id, Parent: &events.Parent{}}) },
	} {
		b := sound(t)
		change(b)
		if wrong := faults(b); len(wrong) > 0 {
			t.Errorf("%s: in a sound history: %q", name, wrong)
		}
	}
	for name, breakIt := range map[string]func(*Books){
		"gap":           func(b *Books) { b.Events[id] = append(b.Events[id][:1], b.Events[id][2:]...) },
		"order":         func(b *Books) { l := b.Events[id]; l[1], l[2] = l[2], l[1] },
		"partition":     func(b *Books) { b.partitions = 1000 },
		"event id":      func(b *Books) { b.Events[id][1].EventID = id },
		"cause":         func(b *Books) { b.Events[id][1].CausationID = id },
		"unknown cause": func(b *Books) { e := &b.Events[id][1]; e.CausationID, e.CorrelationChain = id, []events.UUID{id} },
		"correlation":   func(b *Books) { b.Events[id][5].CorrelationID = id },
		"no cause":      func(b *Books) { b.Events[id][0].Metadata = nil },
		"decided twice": func(b *Books) { b.Events[id][5].Timestamp = time.Unix(3, 0) },
		"never decided": func(b *Books) {
			b.ask(events.Command{CommandID: id, InstanceID: id})
		},
		"child that is not there": func(b *Books) {
			b.ask(events.Command{CommandID: id, InstanceID: events.Namespace, Parent: &events.Parent{}})
		},
		"child in a queue": func(b *Books) { b.Events[id][2].Data["child_id"] = events.String("c") },
		"never asked":      func(b *Books) { b.Commands = b.Commands[:1] },
		"old snapshot":     func(b *Books) { b.States[id][0].SequenceNumber = 3 },
		"no snapshot":      func(b *Books) { delete(b.States, id) },
		"wrong snapshot":   func(b *Books) { b.States[id][0].State = events.WorkflowRunning },
		"no events":        func(b *Books) { b.States[events.Namespace] = b.States[id] },
		"task twice":       func(b *Books) { b.Tasks = append(b.Tasks, b.Tasks[0]) },
		"task without one": func(b *Books) { b.Tasks = nil },
		"attempt":          func(b *Books) { b.Events[id][2].Data["attempt"] = events.Long(2) },
		"task ends twice": func(b *Books) {
			e := &b.Events[id][5]
			e.EventType, e.Data = events.EventTaskFailed, b.Events[id][3].Data
		},
		"task without end":  func(b *Books) { e := &b.Events[id][3]; e.EventType, e.Data = events.EventStateTransitioned, nil },
		"unkept":            func(b *Books) { b.Commands[1].Err = errors.New("garbage") },
		"kept for nothing":  func(b *Books) { b.Dead = []Dead{{Source: b.place(&b.Commands[0])}} },
		"kept from nowhere": func(b *Books) { b.Dead = []Dead{{Source: "elsewhere/0@9"}} },
		"moved for nothing": func(b *Books) { b.Commands[1].movedFrom = b.place(&b.Commands[0]) },
	} {
		b := sound(t)
		breakIt(b)
		if len(faults(b)) == 0 {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
	if home := topics.Partition([]byte(id.String()), 1000); home == 0 {
		t.Fatal("choose another count of partitions above")
	}
}

// What keeps every other law and is not what the definition leads to is found.
func TestReplayFindsWhatNoOtherLawDoes(t *testing.T) {
	id := events.InstanceIDForKey("t", "k")
	for name, breakIt := range map[string]func(*Books){
		"another result": func(b *Books) { b.Events[id][5].Payload = json.RawMessage(`1`) },
		"elsewhere":      func(b *Books) { b.States[id][0].Chart.Counter++ },
		"not deployed":   func(b *Books) { clear(b.machines) },
		"no version":     func(b *Books) { delete(b.Events[id][0].Metadata, events.MetadataVersion) },
	} {
		b := sound(t)
		breakIt(b)
		if wrong := faults(b); len(wrong) > 0 {
			t.Errorf("%s: another law finds it: %q", name, wrong)
		}
		if len(b.Wrong()) == 0 {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}
