package decide

import (
	"fmt"
	"slices"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// CodeHeldFull answers a signal to an instance that holds as many as it may.
const CodeHeldFull = "HELD_FULL"

// holds reports whether a command waits until the instance goes on. Claims and
// heartbeats do not: what executors do goes on meanwhile.
func holds(c *events.Command, snap *events.Snapshot) bool {
	return snap != nil && Behind(snap) && kindOf(c.Command).held
}

// hold keeps a command until the instance goes on.
func hold(in Input, snap *events.Snapshot) Decision {
	c := in.Command
	if c.Command == events.CommandResult {
		if why := stale(snap, c.Result); why != nil {
			return unreacted(in, snap, why)
		}
	} else if count, size := heldSignals(snap); count >= events.MaxHeldSignals || size+len(c.Payload) > events.MaxHeldLength {
		return Answer(in, snap, events.OutcomeRejected, CodeHeldFull, fmt.Sprintf(
			"%s, and holds as many signals as it may (%d, %d bytes): let it go on first", whyHolding(snap), count, size))
	}
	next := *snap
	next.Held = append(slices.Clip(snap.Held), events.HeldInput{Command: c, At: in.Now})
	next.Seen = remember(snap.Seen, in, 0)
	d := Decision{Next: &next}
	if c.Command == events.CommandSignal || c.CausationID.IsNil() { // executors name a causation and do not wait; clients do
		d.Outcome = Answer(in, snap, events.OutcomeHeld, held(snap), whyHolding(snap)+"; the "+string(c.Command)+" is decided when it goes on").Outcome
	}
	return d
}

// held is the code of an outcome for what is held.
func held(snap *events.Snapshot) string {
	switch {
	case snap.State == events.WorkflowPaused:
		return "PAUSED"
	case snap.Incident != nil:
		return "INCIDENT"
	default:
		return "BEHIND"
	}
}

func whyHolding(snap *events.Snapshot) string {
	switch {
	case snap.State == events.WorkflowPaused:
		return "the instance is paused"
	case snap.Incident != nil:
		return "the instance waits for an operator to retry its incident"
	default:
		return "the instance is still deciding what it held"
	}
}

// stale says why a result is of no open attempt of its node, nil when it is of
// one that no held result is of.
func stale(snap *events.Snapshot, r *events.TaskResult) *fsm.Ignored {
	why := func(format string, args ...any) *fsm.Ignored {
		return &fsm.Ignored{Code: fsm.StaleAttempt, Message: fmt.Sprintf(format, args...)}
	}
	for i := range snap.Held {
		if c := snap.Held[i].Command; c != nil && c.Result != nil && c.Result.TaskID == r.TaskID && c.Result.Attempt == r.Attempt {
			return why("a result of attempt %d of task %s is held already", r.Attempt, r.TaskID)
		}
	}
	for i := range snap.Chart.Tasks {
		if t := &snap.Chart.Tasks[i]; t.TaskID == r.TaskID && t.Attempt == r.Attempt && isOpen(t.State) {
			if forged := fsm.Forged(t, r); forged != nil {
				return forged
			}
			if t.State == events.TaskRunning && t.NodeID != "" && t.NodeID != r.NodeID {
				// Holding it would keep out the result of who works on it.
				return why("attempt %d of task %s is claimed by %s, the report is of %q", r.Attempt, r.TaskID, t.NodeID, r.NodeID)
			}
			return nil
		}
	}
	return why("attempt %d of task %s is not open", r.Attempt, r.TaskID)
}

func isOpen(s events.TaskState) bool {
	return s == events.TaskScheduled || s == events.TaskRunning || s == events.TaskWaitingForInput
}

func heldSignals(snap *events.Snapshot) (count, size int) {
	for i := range snap.Held {
		if c := snap.Held[i].Command; c != nil && c.Command == events.CommandSignal {
			count++
			size += len(c.Payload)
		}
	}
	return count, size
}

// release decides what an instance held, in the order in which it came, behind
// what d has decided already; until nothing is left, it holds again, or has done
// as much as one decision may: then it asks itself to go on.
func release(in Input, d Decision) (Decision, error) {
	moved := evolves(in.Command) || goesOn(in.Command) // no sender of what was held knows of the reset
	if in.Work == nil {
		in.Work = new(int)
	}
	for made := 0; d.Next != nil && !d.Next.Holding() && len(d.Next.Held) > 0; {
		if !in.replay && (*in.Work > releaseWork || made > releaseBytes) {
			d.Sends = append(d.Sends, goOn(in, d.Next))
			break
		}
		next := *d.Next
		first := next.Held[0]
		if next.Held = slices.Clone(next.Held[1:]); len(next.Held) == 0 {
			next.Held = nil
		}
		d.Next = &next
		more, err := again(in, &first, &next, moved)
		if err != nil {
			return Decision{}, err
		}
		moved = moved || len(more.Events) > 0
		made += bulk(&more)
		d = join(d, more)
	}
	return d, nil
}

// again decides an input that was held. moved says that something was decided
// since its sender could know the state of the instance.
func again(in Input, h *events.HeldInput, snap *events.Snapshot, moved bool) (Decision, error) {
	sub := Input{Command: h.Command, Machine: in.Machine, Now: in.Now, Source: in.Source, replay: in.replay, Seed: in.Seed, Work: in.Work}
	if h.Command == nil {
		at := slices.IndexFunc(snap.Chart.Timers, func(t events.Timer) bool { return t.ID == h.TimerID })
		if at < 0 {
			return Decision{}, nil // such as of a state that another version does not have
		}
		sub.Timer = &snap.Chart.Timers[at]
	}
	d, err := decideHeld(sub, snap, moved)
	if err == nil && in.Writable != nil {
		err = in.Writable(&d)
	}
	if err == nil {
		return d, nil
	}
	// The operator's command is done; what was held is the incident, once more.
	if parked, ok := undecidable(sub, snap, unwritten(err)); ok {
		return parked, nil
	}
	return Decision{}, err
}

func decideHeld(sub Input, snap *events.Snapshot, moved bool) (Decision, error) {
	c := sub.Command
	if c == nil {
		return decideTimer(sub, snap)
	}
	sub.Explicit = slices.ContainsFunc(snap.Seen, func(s events.SeenCommand) bool { return s.Name == c.CommandID })
	switch {
	case snap.State.Finished() && c.Command == events.CommandSignal:
		return Answer(sub, snap, events.OutcomeRejected, CodeFinished, fmt.Sprintf("the instance is %s and takes no more signals", snap.State)), nil
	case snap.State.Finished():
		return Answer(sub, snap, events.OutcomeIgnored, CodeFinished, fmt.Sprintf("the instance is %s", snap.State)), nil
	case moved && c.ExpectedSequence != nil:
		return Answer(sub, snap, events.OutcomeConflict, CodeSequenceConflict, fmt.Sprintf(
			"expected_sequence is %d, and what was held before it was decided first", *c.ExpectedSequence)), nil
	}
	return dispatch(sub, snap)
}

// join is a decision that two after each other are.
func join(a, b Decision) Decision {
	a.Events, a.Tasks = append(a.Events, b.Events...), append(a.Tasks, b.Tasks...)
	a.Signals, a.Logs = append(a.Signals, b.Signals...), append(a.Logs, b.Logs...)
	a.Sends, a.Later = append(a.Sends, b.Sends...), append(a.Later, b.Later...)
	a.Cancels = append(a.Cancels, b.Cancels...)
	a.Forged += b.Forged
	if b.Outcome != nil {
		a.Later = append(a.Later, *b.Outcome)
	}
	if b.Next != nil {
		a.Next = b.Next
	}
	return a
}

// dropHeld answers the signals that an instance held and will never decide, and
// forgets the results of tasks that are no longer open.
func dropHeld(in Input, d Decision) Decision {
	next := *d.Next
	next.Held = nil
	for _, h := range d.Next.Held {
		switch c := h.Command; {
		case c.Command == events.CommandSignal:
			d.Later = append(d.Later, *Answer(Input{Command: c, Now: in.Now}, &next, events.OutcomeRejected, CodeFinished,
				fmt.Sprintf("the instance is %s and takes no more signals", next.State)).Outcome)
		case stale(&next, c.Result) == nil:
			next.Held = append(next.Held, h)
		default:
			d.Later = append(d.Later, *Answer(Input{Command: c, Now: in.Now}, &next, events.OutcomeIgnored, CodeFinished,
				fmt.Sprintf("the instance is %s", next.State)).Outcome)
		}
	}
	d.Next = &next
	return d
}

// unparked is an instance whose incident's input is held like what came after
// it: it is about to be ended, and a result is a fact, and the sender of a signal
// waits. In a replay the history says by itself what became of them.
func unparked(in Input, snap *events.Snapshot) *events.Snapshot {
	if in.replay || snap.Incident == nil || snap.Incident.Input == nil || snap.Incident.Input.Command == nil {
		return snap
	}
	if !kindOf(snap.Incident.Input.Command.Command).held {
		return snap
	}
	next := *snap
	next.Held = append([]events.HeldInput{*snap.Incident.Input}, snap.Held...)
	return &next
}

// absorb takes the results that an instance holds as facts that it does
// not react to: it is about to be cancelled, and what was done has to be undone.
func absorb(in Input, snap *events.Snapshot) Decision {
	next := *snap
	next.Held = nil
	d := Decision{Next: &next}
	for _, h := range snap.Held {
		c := h.Command
		var one Decision
		if c.Command == events.CommandResult && c.Result.State == events.TaskCompleted {
			one = absorbOne(Input{Command: c, Machine: in.Machine, Now: in.Now, Source: in.Source}, d.Next)
		}
		if one.Next == nil {
			kept := *d.Next
			kept.Held = append(slices.Clip(kept.Held), h)
			d.Next = &kept
			continue
		}
		d = join(d, one)
	}
	return d
}

func absorbOne(in Input, snap *events.Snapshot) Decision {
	at := slices.IndexFunc(snap.Chart.Tasks, func(t events.TaskStatus) bool { return t.TaskID == in.Command.Result.TaskID })
	if at < 0 || snap.Chart.Tasks[at].State.Finished() {
		return Decision{}
	}
	r := newRecorder(in, snap, taskCause(snap, in.Command.Result.TaskID))
	chart := &r.next.Chart
	chart.Tasks = slices.Clone(chart.Tasks)
	t := &chart.Tasks[at]
	from := t.State
	t.State, t.Result, t.Error = events.TaskCompleted, in.Command.Payload, nil
	chart.Timers = slices.DeleteFunc(slices.Clone(chart.Timers), func(timer events.Timer) bool { return timer.TaskID == t.TaskID })
	r.taskChanged(fsm.TaskChanged{
		TaskID: t.TaskID, StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, From: from, To: t.State,
		Attempt: t.Attempt, Result: t.Result, NodeID: in.Command.Result.NodeID,
	})
	return r.decision()
}

// How much of what it held an instance decides at once, in units of
// [fsm.MaxWork] and in bytes of records: everybody else of the lane waits for it.
// The decision that goes beyond is the last.
const (
	releaseWork  = 200_000
	releaseBytes = 4 << 20
)

// Behind reports whether what happens to the instance has to wait: it holds, or
// has gone on and is not through with what it held.
func Behind(s *events.Snapshot) bool { return s.Holding() || len(s.Held) > 0 }

// goOn is what an instance asks itself when it has decided a part of what it
// held: a resume that only goes on with the rest. Others have their turn first.
func goOn(in Input, next *events.Snapshot) events.Command {
	c := events.Command{
		CommandID: events.DeriveUUID(in.Command.CommandID, "go on"), Command: events.CommandResume,
		WorkflowType: next.WorkflowType, InstanceID: next.InstanceID, CorrelationID: next.CorrelationID,
		CausationID: events.EventID(next.WorkflowType, next.InstanceID, next.SequenceNumber),
		Source:      nameOf(next.WorkflowType, next.InstanceID), Timestamp: in.Now,
	}
	c.Resolve(c.CommandID)
	return c
}

// goesOn reports whether a command is an instance's own. A stranger who writes
// one does no more with it than the instance.
func goesOn(c *events.Command) bool {
	return typeOf(c).from&itself != 0 && !c.CausationID.IsNil() && c.Source == nameOf(c.WorkflowType, c.InstanceID)
}

// goFurther decides more of what an instance held. While it holds there is
// nothing to do: what is held waits for an operator, as everything else.
func goFurther(in Input, snap *events.Snapshot) (Decision, error) {
	switch {
	case snap.Holding() || len(snap.Held) == 0:
		return Decision{}, nil
	case in.Machine == nil && !snap.State.Finished():
		return Decision{}, notDeployed(snap)
	}
	next := *snap
	return release(in, Decision{Next: &next})
}

// parkHeld parks an instance that cannot go on: with the first of what it holds.
func parkHeld(in Input, snap *events.Snapshot) (Input, *events.Snapshot, error) {
	if snap.Holding() || len(snap.Held) == 0 || snap.Held[0].Command == nil {
		return in, snap, fmt.Errorf("%s %s holds nothing", snap.WorkflowType, snap.InstanceID)
	}
	next := *snap
	in.Command, next.Held = snap.Held[0].Command, snap.Held[1:]
	return in, &next, nil
}

// bulk is about how many bytes of records a decision makes, without its snapshot.
func bulk(d *Decision) (size int) {
	const record = 400 // what else there is in one
	for i := range d.Events {
		size += record + len(d.Events[i].Payload)
	}
	for i := range d.Tasks {
		size += record + len(d.Tasks[i].Input)
	}
	for i := range d.Signals {
		size += record + len(d.Signals[i].Data)
	}
	for i := range d.Sends {
		size += record + len(d.Sends[i].Payload)
	}
	return size + record*len(d.Later)
}
