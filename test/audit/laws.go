package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Wrong checks every law and lists what is broken.
func (b *Books) Wrong() []string {
	b.wrong = nil
	b.checkLaws()
	for id, list := range b.Events {
		b.checkReplay(id, list)
	}
	slices.Sort(b.wrong)
	return b.wrong
}

// checkLaws checks what needs no definition.
func (b *Books) checkLaws() {
	for id, list := range b.Events {
		b.checkSequence(id, list)
		b.checkCauses(id, list)
		b.checkTasks(id, list)
		b.checkState(id, list)
	}
	for id := range b.States {
		if len(b.Events[id]) == 0 {
			b.failf("%s has a snapshot and no event", id)
		}
	}
	b.checkDecisions()
	b.checkMoves()
	b.checkDead()
}

func (b *Books) failf(format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

func (b *Books) home(id events.UUID) int32 {
	return topics.Partition([]byte(id.String()), b.partitions)
}

// checkSequence: 1, 2, 3, … in the order of the log, all in the instance's
// partition, and nothing after the end.
func (b *Books) checkSequence(id events.UUID, list []Event) {
	for i := range list {
		e := &list[i]
		if e.SequenceNumber != int64(i+1) {
			b.failf("%s: event %d of the log has sequence %d (%s)", id, i+1, e.SequenceNumber, e.EventType)
			return
		}
		if e.Partition != b.home(id) {
			b.failf("%s: sequence %d is in partition %d, its home is %d", id, e.SequenceNumber, e.Partition, b.home(id))
		}
		if want := events.EventID(b.workflowType, id, e.SequenceNumber); e.EventID != want {
			b.failf("%s: sequence %d has event id %s, want %s", id, e.SequenceNumber, e.EventID, want)
		}
		if (e.EventType == events.EventWorkflowCreated) != (i == 0) {
			b.failf("%s: %s is event %d", id, e.EventType, i+1)
		}
		if ends(e.EventType) && i != len(list)-1 && list[i+1].EventType != events.EventWorkflowRetrying {
			b.failf("%s: %d events follow %s", id, len(list)-1-i, e.EventType)
		}
	}
}

func ends(t events.EventType) bool {
	switch t {
	case events.EventWorkflowCompleted, events.EventWorkflowFailed, events.EventWorkflowCancelled, events.EventWorkflowTimeout:
		return true
	default:
		return false
	}
}

// checkCauses: a chain ends in the causation, which stands earlier in the same
// history or was named by the command; the correlation never changes.
func (b *Books) checkCauses(id events.UUID, list []Event) {
	known := make(map[events.UUID]bool, len(list))
	for i := range b.Commands {
		if c := &b.Commands[i]; c.Err == nil && c.InstanceID == id && !c.CausationID.IsNil() {
			known[c.CausationID] = true
		}
	}
	for i := range list {
		e := &list[i]
		n := len(e.CorrelationChain)
		switch {
		case (n == 0) != e.CausationID.IsNil(), n > 0 && e.CorrelationChain[n-1] != e.CausationID:
			b.failf("%s/%d: chain %v and causation %s", id, e.SequenceNumber, e.CorrelationChain, e.CausationID)
		case n > 0 && !known[e.CausationID]:
			b.failf("%s/%d: causation %s is no earlier event", id, e.SequenceNumber, e.CausationID)
		case n == 0 && Text(&e.Event, events.MetadataCommandID) == "":
			b.failf("%s/%d: %s has no causation and no command", id, e.SequenceNumber, e.EventType)
		}
		if e.CorrelationID != list[0].CorrelationID {
			b.failf("%s/%d: correlation %s, at first it was %s", id, e.SequenceNumber, e.CorrelationID, list[0].CorrelationID)
		}
		known[e.EventID] = true
	}
}

// life is where a task stands while its history is folded.
type life struct {
	attempt int64
	open    bool // the newest attempt has no end yet
	ended   bool
	failed  bool // and its end was a failure, from which a person may have it retried when it undoes
	decided bool // what it needs has ended
	down    bool // the newest attempt is put down
}

// next folds one event and says what is wrong with it.
//
//nolint:cyclop // one case an event
func (l *life) next(kind events.EventType, attempt int64) (wrong string) {
	before := *l
	if kind == events.EventTaskRetry && l.failed || kind == events.EventTaskSkipped && l.failed {
		l.failed, l.ended = false, kind == events.EventTaskSkipped
		return ""
	}
	switch kind {
	case events.EventTaskScheduled:
		if attempt != l.attempt+1 || l.open {
			wrong = fmt.Sprintf("follows attempt %d (open: %t)", before.attempt, before.open)
		}
		l.attempt, l.open = attempt, true
	case events.EventTaskStarted, events.EventTaskRetry:
		if attempt != l.attempt || !l.open {
			wrong = fmt.Sprintf("while the newest is %d (open: %t)", before.attempt, before.open)
		}
		l.open = kind == events.EventTaskStarted
	case events.EventTaskCompleted, events.EventTaskFailed, events.EventTaskCancelled, events.EventTaskSkipped:
		l.open, l.ended, l.failed = false, true, kind == events.EventTaskFailed
	case events.EventDependencyResolved, events.EventDependencyFailed:
		if l.attempt > 0 || l.decided {
			wrong = fmt.Sprintf("after attempt %d (decided: %t)", before.attempt, before.decided)
		}
		l.decided = true
	case events.EventResourceAllocated:
		if l.open {
			wrong = fmt.Sprintf("while attempt %d is open", before.attempt)
		}
	default:
		wrong = "is no event of a task"
	}
	if before.ended {
		wrong = "follows its end"
	}
	return wrong
}

// queued reports whether an event asks an executor for an attempt: nobody finds
// child workflows and what people do in a queue.
func queued(e *events.Event) bool {
	return e.EventType == events.EventTaskScheduled && Text(e, "child_id") == "" && Text(e, "state") != string(events.TaskScheduled) &&
		Text(e, "state") != string(events.TaskWaitingForInput)
}

// checkTasks: attempts are 1, 2, 3, …, each of a task that is open; a task ends
// once; and each attempt that is for an executor is one record of its queue.
func (b *Books) checkTasks(id events.UUID, list []Event) {
	lives := make(map[string]*life)
	issued := make(map[string]int)
	for i := range list {
		e := &list[i]
		task := Text(&e.Event, "task_id")
		if task == "" || e.EventType == events.EventCompensationFailed {
			continue
		}
		if lives[task] == nil {
			lives[task] = &life{}
		}
		attempt := e.Data["attempt"].Int()
		if wrong := lives[task].follow(&e.Event, attempt); wrong != "" {
			b.failf("%s/%d: %s of task %s attempt %d %s", id, e.SequenceNumber, e.EventType, task, attempt, wrong)
		}
		if queued(&e.Event) {
			issued[fmt.Sprint(task, "/", attempt)]++
		}
	}
	for i := range b.Tasks {
		if t := &b.Tasks[i]; t.InstanceID == id {
			issued[fmt.Sprint(t.TaskID, "/", t.Attempt)]--
		}
	}
	for attempt, n := range issued {
		if n != 0 {
			b.failf("%s: task %s has %d more events than records in its queue", id, attempt, n)
		}
	}
	for task, l := range lives {
		if l.attempt > 0 && !l.ended && ends(list[len(list)-1].EventType) {
			b.failf("%s has ended and its task %s has not", id, task)
		}
	}
}

// checkState: the newest snapshot is the state after the newest event.
func (b *Books) checkState(id events.UUID, list []Event) {
	states := b.States[id]
	if len(states) == 0 {
		b.failf("%s has %d events and no snapshot", id, len(list))
		return
	}
	for i := 1; i < len(states); i++ {
		if states[i].SequenceNumber < states[i-1].SequenceNumber {
			b.failf("%s: snapshot %d follows %d", id, states[i].SequenceNumber, states[i-1].SequenceNumber)
		}
	}
	newest, last := &states[len(states)-1], &list[len(list)-1]
	if newest.SequenceNumber != last.SequenceNumber {
		b.failf("%s: the snapshot is at %d, the last event is %d", id, newest.SequenceNumber, last.SequenceNumber)
	}
	if newest.State.Finished() != ends(last.EventType) {
		b.failf("%s is %s and its last event is %s", id, newest.State, last.EventType)
	}
	if newest.State.Finished() && len(newest.Chart.Timers) > 0 {
		b.failf("%s has finished and still has timers: %+v", id, newest.Chart.Timers)
	}
}

// ofSchedules are the commands that the router makes by itself for the instances
// of schedules, within the transaction that decides them: their start, by the due
// that their key names, and what makes them end for the next one.
func (b *Books) ofSchedules() map[events.UUID]bool {
	own := make(map[events.UUID]bool)
	for id, history := range b.Events {
		schedule, due, found := strings.Cut(history[0].Data["key"].Str(), "/")
		if !found {
			continue
		}
		end := strings.LastIndex(due, "Z") + 1 // behind it is the number that leads into the partition
		from := events.ScheduleInstanceID(schedule)
		for _, what := range []string{"start/" + due[:end], "cancel/" + id.String(), "terminate/" + id.String()} {
			own[events.DeriveUUID(from, what)] = true
		}
	}
	return own
}

// checkDecisions: each command is decided once, and each copy of it, wherever
// it was sent to, is that decision or has an outcome. A parent gets no outcome
// when what it asks of its child changes nothing, but the child is there.
func (b *Books) checkDecisions() {
	decided := b.decided()
	ofSchedules := b.ofSchedules()
	copies := make(map[events.UUID]int)
	kinds := make(map[events.UUID]events.CommandType)
	quiet := make(map[events.UUID]bool)
	for i := range b.Commands {
		if c := &b.Commands[i]; c.Err == nil && c.Partition == b.home(c.InstanceID) {
			copies[c.CommandID]++
			kinds[c.CommandID] = c.Command.Command
			quiet[c.CommandID] = c.Parent != nil && len(b.Events[c.InstanceID]) > 0
		}
	}
	for id, n := range decided {
		if n > 1 {
			b.failf("command %s has %d decisions", id, n)
		}
		if copies[id] == 0 && !ofSchedules[id] {
			b.failf("command %s was decided and stands nowhere", id)
		}
	}
	held := b.held()
	for id, n := range copies {
		switch kinds[id] {
		case events.CommandClaim, events.CommandHeartbeat: // nobody waits for them
		default:
			if found := decided[id] + b.answered(id) + held[id]; found > n || found < n && !quiet[id] {
				b.failf("%s %s stands %d times in the log: %d decisions, outcomes %v", kinds[id], id, n, decided[id], b.Outcomes[id])
			}
		}
	}
}

// answered counts the outcomes of a command, without those that say that it is
// held: another answer follows.
func (b *Books) answered(id events.UUID) (n int) {
	for i := range b.Outcomes[id] {
		if b.Outcomes[id][i].Status != events.OutcomeHeld {
			n++
		}
	}
	return n
}

// held counts the commands that instances hold at the end.
func (b *Books) held() map[events.UUID]int {
	held := make(map[events.UUID]int)
	for _, states := range b.States {
		for _, h := range states[len(states)-1].Held {
			if h.Command != nil {
				held[h.Command.CommandID]++
			}
		}
	}
	return held
}

// decided counts the decisions of each command: runs of events in one history
// that name it, at one instant.
func (b *Books) decided() map[events.UUID]int {
	decided := make(map[events.UUID]int)
	for id, list := range b.Events {
		var before string
		parked := make(map[string]bool) // an incident is not the last word: a retry decides again
		for i := range list {
			text := Text(&list[i].Event, events.MetadataCommandID)
			run := text + list[i].Timestamp.String()
			again := parked[text] && run != before
			if run != before || list[i].EventType == events.EventErrorOccurred {
				parked[text] = list[i].EventType == events.EventErrorOccurred
			}
			if again {
				before = run
				continue
			}
			if text != "" && run != before {
				command, err := events.ParseUUID(text)
				if err != nil {
					b.failf("%s/%d: command_id %q: %v", id, list[i].SequenceNumber, text, err)
				}
				decided[command]++
			}
			before = run
		}
	}
	return decided
}

// checkMoves: a command on the wrong partition is moved once, no other one is.
func (b *Books) checkMoves() {
	moved := make(map[string]int)
	for i := range b.Commands {
		moved[b.Commands[i].movedFrom]++
	}
	for i := range b.Commands {
		c := &b.Commands[i]
		want := 0
		if c.Err == nil && c.Partition != b.home(c.InstanceID) {
			want = 1
		}
		if got := moved[b.place(c)]; got != want {
			b.failf("the command at %s was moved %d times, want %d", b.place(c), got, want)
		}
	}
}

func (b *Books) place(c *Command) string {
	return fmt.Sprintf("%s/%d@%d", b.names.Commands(b.workflowType), c.Partition, c.Offset)
}

// checkDead: what cannot be read is kept once, and so is nothing else but what
// could not be decided, which has an outcome.
func (b *Books) checkDead() {
	kept := make(map[string]int)
	for _, d := range b.Dead {
		kept[d.Source]++
	}
	for i := range b.Commands {
		c := &b.Commands[i]
		n := kept[b.place(c)]
		delete(kept, b.place(c))
		if c.Err != nil && n != 1 || n > 1 || n == 1 && c.Err == nil && len(b.Outcomes[c.CommandID]) == 0 {
			b.failf("the record at %s (%v) is %d times in the dead-letter topic", b.place(c), c.Err, n)
		}
	}
	for source := range kept {
		b.failf("a dead letter says it is from %q, where nothing is", source)
	}
}
