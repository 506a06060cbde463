package audit

import (
	"errors"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// sound is a history of one instance with a finished task, in order.
func sound() *Books {
	id := events.InstanceIDForKey("t", "k")
	start, result, task := events.DeriveUUID(id, "start"), events.DeriveUUID(id, "result"), events.DeriveUUID(id, "task")
	b := &Books{
		workflowType: "t", partitions: 1, Events: map[events.UUID][]Event{}, States: map[events.UUID][]events.Snapshot{},
		Outcomes: map[events.UUID][]events.Outcome{},
		Tasks:    []events.Task{{TaskID: task, Attempt: 1, InstanceID: id, WorkflowType: "t"}},
	}
	for i, c := range []events.Command{{CommandID: start, Command: events.CommandStart}, {CommandID: result, Command: events.CommandResult}} {
		c.InstanceID, c.WorkflowType = id, "t"
		b.Commands = append(b.Commands, Command{Command: c, Offset: int64(i)})
	}
	for i, kind := range []events.EventType{
		events.EventWorkflowCreated, events.EventTaskScheduled, events.EventTaskCompleted, events.EventWorkflowCompleted,
	} {
		n := int64(i + 1)
		command, at := start, time.Unix(1, 0)
		if i >= 2 {
			command, at = result, time.Unix(2, 0)
		}
		e := events.Event{
			EventID: events.EventID("t", id, n), EventType: kind, InstanceID: id, SequenceNumber: n, Timestamp: at, CorrelationID: start,
			Metadata: map[string]events.ContextValue{events.MetadataCommandID: events.String(command.String())},
		}
		if i > 0 {
			e.CausationID = events.EventID("t", id, n-1)
			e.CorrelationChain = []events.UUID{e.CausationID}
		}
		if kind == events.EventTaskScheduled || kind == events.EventTaskCompleted {
			e.Data = map[string]events.ContextValue{"task_id": events.String(task.String()), "attempt": events.Long(1)}
		}
		b.Events[id] = append(b.Events[id], Event{Event: e, Offset: int64(i)})
	}
	b.States[id] = []events.Snapshot{{InstanceID: id, SequenceNumber: 4, State: events.WorkflowCompleted}}
	return b
}

// faults checks the laws of a history that no definition led to.
func faults(b *Books) []string {
	b.checkLaws()
	return b.wrong
}

// ask adds a command that nothing in the history follows from.
func (b *Books) ask(c events.Command) { b.Commands = append(b.Commands, Command{Command: c}) }

// The auditor finds nothing in what is sound, and every fault in what is not.
func TestEveryBrokenLawIsFound(t *testing.T) {
	id := events.InstanceIDForKey("t", "k")
	if wrong := faults(sound()); len(wrong) > 0 {
		t.Fatalf("in a sound history: %q", wrong)
	}
	for name, change := range map[string]func(*Books){
		"child": func(b *Books) { b.Events[id][1].Data["child_id"], b.Tasks = events.String("c"), nil },
		"human": func(b *Books) {
			b.Events[id][1].Data["state"], b.Tasks = events.String(string(events.TaskWaitingForInput)), nil
		},
		"told by its parent": func(b *Books) { b.ask(events.Command{CommandID: id, InstanceID: id, Parent: &events.Parent{}}) },
	} {
		b := sound()
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
		"correlation":   func(b *Books) { b.Events[id][3].CorrelationID = id },
		"no cause":      func(b *Books) { b.Events[id][0].Metadata = nil },
		"decided twice": func(b *Books) { b.Events[id][3].Timestamp = time.Unix(3, 0) },
		"never decided": func(b *Books) {
			b.ask(events.Command{CommandID: id, InstanceID: id})
		},
		"child that is not there": func(b *Books) {
			b.ask(events.Command{CommandID: id, InstanceID: events.Namespace, Parent: &events.Parent{}})
		},
		"child in a queue": func(b *Books) { b.Events[id][1].Data["child_id"] = events.String("c") },
		"never asked":      func(b *Books) { b.Commands = b.Commands[:1] },
		"old snapshot":     func(b *Books) { b.States[id][0].SequenceNumber = 3 },
		"no snapshot":      func(b *Books) { delete(b.States, id) },
		"wrong snapshot":   func(b *Books) { b.States[id][0].State = events.WorkflowRunning },
		"no events":        func(b *Books) { b.States[events.Namespace] = b.States[id] },
		"task twice":       func(b *Books) { b.Tasks = append(b.Tasks, b.Tasks[0]) },
		"task without one": func(b *Books) { b.Tasks = nil },
		"attempt":          func(b *Books) { b.Events[id][1].Data["attempt"] = events.Long(2) },
		"task ends twice": func(b *Books) {
			e := &b.Events[id][3]
			e.EventType, e.Data = events.EventTaskFailed, b.Events[id][2].Data
		},
		"task without end":  func(b *Books) { e := &b.Events[id][2]; e.EventType, e.Data = events.EventStateTransitioned, nil },
		"unkept":            func(b *Books) { b.Commands[1].Err = errors.New("garbage") },
		"kept for nothing":  func(b *Books) { b.Dead = []Dead{{Source: b.place(&b.Commands[0])}} },
		"kept from nowhere": func(b *Books) { b.Dead = []Dead{{Source: "elsewhere/0@9"}} },
		"moved for nothing": func(b *Books) { b.Commands[1].movedFrom = b.place(&b.Commands[0]) },
	} {
		b := sound()
		breakIt(b)
		if len(faults(b)) == 0 {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
	if home := topics.Partition([]byte(id.String()), 1000); home == 0 {
		t.Fatal("choose another count of partitions above")
	}
}
