package decide

import (
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Codes of outcomes, for clients that branch on them.
const (
	CodeNotFound         = "NOT_FOUND"         // no such instance
	CodeFinished         = "FINISHED"          // the instance has ended
	CodeSequenceConflict = "SEQUENCE_CONFLICT" // expected_sequence is not the newest
	CodeUnknownVersion   = "UNKNOWN_VERSION"   // no such definition version is deployed
	CodeTooLarge         = "TOO_LARGE"         // what the decision leads to does not fit a record
	CodeUndecidable      = "UNDECIDABLE"       // the decision failed: a defect, kept in the dead letter topic
	CodeInvalidInput     = "INVALID_INPUT"     // the start payload breaks the definition's schema
)

// Input is what one decision is about, and all that it depends on besides the
// instance: a command, or a timer that is due. Machine and Now are needed with
// both, and Source; the rest has a meaning when it is left out.
type Input struct {
	Command  *events.Command
	Explicit bool // the producer chose the command id, so it may come again
	Timer    *events.Timer
	Machine  *fsm.Machine           // nil when the wanted version is not deployed
	Others   map[int32]*fsm.Machine // the versions that [Versions] lists
	Now      time.Time              // one instant for a whole transaction, in microseconds
	Source   string                 // the deciding router's slot
	Seed     []byte                 // of the tokens of attempts that are issued; nil in a replay
	Work     *int                   // what the steps of the decision cost, in units of [fsm.MaxWork], is added to it; nil: not wanted
	Crowded  bool                   // the tree of this child is as large as a tree may be, see [MaxTree]
	// Writable says what keeps a part of a decision from being written; nil: all can
	// be. Its errors are of type [Error] when people are to see a code. What was held
	// is decided in one go, and one input of it that cannot be written is parked alone.
	Writable func(*Decision) error

	replay bool // of a history, which says by itself when what was held was decided
	// unwritten is what kept this input's decision from being written, as the
	// history that is replayed says; nil otherwise.
	unwritten *events.Error
}

// Decision is what follows from an input. The zero decision changes nothing.
type Decision struct {
	Events  []events.Event   // the history goes on with them
	Tasks   []events.Task    // for executors
	Again   []events.UUID    // those of Tasks whose attempt was issued before: put down, or handed back
	Signals []fsm.SendSignal // for instances that the definition names
	Sends   []events.Command // for parents and children, and for the instance itself
	Next    *events.Snapshot // nil when the instance stays as it is
	Outcome *events.Outcome  // nil when the events are the answer, or no client waits for one
	Later   []events.Outcome // of commands that were held until now
	Logs    []string         // what the definition logs
	Audit   []events.AuditEvent
	Cancels []events.Cancellation // of runs of tasks, for executors
	Forged  int                   // reports without the token of their attempt
}

// Decide says what follows from in for an instance in the state snap (nil for
// none). It is pure: the same arguments give the same decision, and snap is not
// changed. An error means that the instance cannot decide at all; it never
// comes from what a client sent.
func Decide(in Input, snap *events.Snapshot) (d Decision, err error) {
	defer Rescue(&err)
	if in.unwritten != nil {
		if parked, ok := undecidable(in, snap, in.unwritten); ok {
			return parked, nil
		}
	}
	if d, err = decideOn(in, snap); err == nil {
		d.tellParent(in)
		d.Audit = audit(in, snap, d)
	}
	return d, err
}

func decideOn(in Input, snap *events.Snapshot) (Decision, error) {
	if Reads(in.Command) {
		return kindOf(in.Command.Command).decide(in, snap)
	}
	if d, done := asChild(in, snap); done {
		return d, nil
	}
	if in.Timer != nil && in.Timer.Kind == events.TimerRetention {
		return forget(in, snap), nil
	}
	if in.Timer != nil {
		return decideTimer(in, snap)
	}
	if d, done := refuse(in, snap); done {
		return d, nil
	}
	return dispatch(in, snap)
}

func decideTimer(in Input, snap *events.Snapshot) (Decision, error) {
	if Behind(snap) {
		return Decision{}, nil // it fires when the instance goes on
	}
	if in.Machine == nil {
		return Decision{}, notDeployed(snap)
	}
	return step(in, snap, fsm.Input{Kind: fsm.InputTimer, TimerID: in.Timer.ID}, in.Timer.Cause)
}

// dispatch decides a command that nothing speaks against.
func dispatch(in Input, snap *events.Snapshot) (Decision, error) {
	k := kindOf(in.Command.Command)
	switch {
	case goesOn(in.Command):
		return goFurther(in, snap)
	case k.possible != nil && !k.possible(snap):
		return illegal(in, snap), nil
	case in.Machine == nil && !k.bare && k.to != "":
		return Answer(in, snap, events.OutcomeRejected, CodeUnknownVersion, fmt.Sprintf(
			"version %d of %q, which the instance runs on, is not deployed here: deploy it, or end the instance with `leat terminate`",
			snap.Version, snap.WorkflowType)), nil
	case in.Machine == nil && !k.bare:
		return Decision{}, notDeployed(snap)
	}
	return k.decide(in, snap)
}

// signal tells the statechart what a client or another instance says.
func signal(in Input, snap *events.Snapshot) (Decision, error) {
	c := in.Command
	return step(in, snap, fsm.Input{Kind: fsm.InputEvent, Name: c.Event, Data: c.Payload}, outsideCause(c))
}

// report passes a report about a task to the statechart.
func report(in Input, snap *events.Snapshot) (Decision, error) {
	c := in.Command
	return step(in, snap, fsm.Input{Kind: kindOf(c.Command).input, Task: c.Result, Data: c.Payload}, taskCause(snap, c.Result.TaskID))
}

// refuse answers the commands that are not decided on: duplicates, conflicts
// and what cannot be done.
func refuse(in Input, snap *events.Snapshot) (Decision, bool) {
	c := in.Command
	if snap != nil {
		if seen, ok := findSeen(snap, in); ok {
			return Duplicate(in, snap, seen.Sequence), true
		}
	}
	if why := conflict(c, snap); why != "" {
		return Answer(in, snap, events.OutcomeConflict, CodeSequenceConflict, why), true
	}
	if d, done := refuseForgotten(in, snap); done {
		return d, true
	}
	switch {
	case c.Command == events.CommandStart && snap != nil:
		return Duplicate(in, snap, 1), true
	case c.Command == events.CommandStart && in.Machine == nil:
		return Answer(in, snap, events.OutcomeRejected, CodeUnknownVersion,
			fmt.Sprintf("version %d of %q is not deployed; deploy it with `leat def deploy`", c.Version, c.WorkflowType)), true
	case in.Crowded && c.Command == events.CommandStart:
		return Answer(in, snap, events.OutcomeRejected, CodeTooMany, fmt.Sprintf(
			"the tree of child workflows below %s has too many of type %s, at most %d, or %d in one partition: do they start themselves?",
			c.Parent.Root, c.WorkflowType, MaxTree, MinTree)), true
	case c.Command != events.CommandStart && snap == nil:
		return notFound(in), true
	case snap != nil:
		if d, done := refuseRunning(in, snap); done {
			return d, true
		}
	}
	return refuseLarge(in, snap)
}

// refuseRunning answers what an instance cannot decide in its state, and holds
// what has to wait.
func refuseRunning(in Input, snap *events.Snapshot) (Decision, bool) {
	c := in.Command
	switch {
	case c.Command == events.CommandSignal && snap.State.Finished():
		return Answer(in, snap, events.OutcomeRejected, CodeFinished,
			fmt.Sprintf("the instance is %s and takes no more signals", snap.State)), true
	case mustExpect(c, snap):
		return Answer(in, snap, events.OutcomeRejected, CodeExpectationMissing, fmt.Sprintf(
			"isolation is %s: say in expected_sequence what you have read, it is at %d now", snap.Isolation, snap.SequenceNumber)), true
	case holds(c, snap) && in.replay && c.Command == events.CommandResult:
		return absorbOne(in, snap), true
	case holds(c, snap):
		return hold(in, snap), true
	case in.Machine == nil && c.Command == events.CommandResult && stale(snap, c.Result) == nil:
		return Decision{}, false // it is the instance's incident, and the result is kept
	case in.Machine == nil && !isLife(c):
		return Answer(in, snap, events.OutcomeRejected, CodeUnknownVersion,
			fmt.Sprintf("version %d of %q, which the instance runs on, is not deployed here", snap.Version, snap.WorkflowType)), true
	}
	return Decision{}, false
}

// notDeployed keeps an input from being decided until its version is there.
func notDeployed(snap *events.Snapshot) error {
	return &Error{CodeUnknownVersion, fmt.Errorf("version %d of %q, which the instance runs on, is not deployed: deploy it, then `leat retry`",
		snap.Version, snap.WorkflowType)}
}

func sequenceOf(snap *events.Snapshot) int64 {
	if snap == nil {
		return 0
	}
	return snap.SequenceNumber
}

// Answer is a decision that only says why nothing happens.
func Answer(in Input, snap *events.Snapshot, status events.OutcomeStatus, code, message string) Decision {
	c := in.Command
	if c == nil || c.Command == events.CommandHeartbeat || c.Command == events.CommandClaim && !c.CausationID.IsNil() {
		return Decision{} // executors name a causation and do not wait; clients do
	}
	return Decision{Outcome: &events.Outcome{
		CommandID: c.CommandID, WorkflowType: c.WorkflowType, InstanceID: c.InstanceID, Status: status,
		Error:          &events.Error{Code: code, Message: events.Cut(message, events.MaxMessageLength)},
		SequenceNumber: sequenceOf(snap), Timestamp: in.Now,
	}}
}

// unreacted answers what led to nothing, and counts what is forged.
func unreacted(in Input, snap *events.Snapshot, why *fsm.Ignored) Decision {
	d := Answer(in, snap, statusOf(why.Code), why.Code, why.Message)
	if why.Code == fsm.WrongToken {
		d.Forged++
	}
	d.Cancels = stopReporter(in, snap)
	return d
}

// Duplicate answers a command that was decided before: at sequence, or at none
// when it led to no event.
func Duplicate(in Input, snap *events.Snapshot, sequence int64) Decision {
	o := whereabouts(in, snap, events.OutcomeDuplicate, sequence)
	if sequence > 0 {
		o.EventID = events.EventID(snap.WorkflowType, snap.InstanceID, sequence)
	}
	return Decision{Outcome: o}
}

// start begins an instance.
func start(in Input, _ *events.Snapshot) (Decision, error) {
	c := in.Command
	if err := in.Machine.CheckInput(c.Payload); err != nil {
		return Answer(in, nil, events.OutcomeRejected, CodeInvalidInput, err.Error()), nil
	}
	return step(in, begin(in), fsm.Input{Kind: fsm.InputStart, Data: c.Payload}, outsideCause(c))
}

// begin is an instance before its first event.
func begin(in Input) *events.Snapshot {
	c := in.Command
	correlation := c.CorrelationID
	if correlation.IsNil() {
		correlation = c.CommandID
	}
	snap := &events.Snapshot{
		WorkflowType: c.WorkflowType, InstanceID: c.InstanceID, Key: c.Key, Version: in.Machine.Version(),
		State: events.WorkflowPending, CorrelationID: correlation, Parent: c.Parent, CreatedAt: in.Now, UpdatedAt: in.Now,
	}
	declare(snap, in.Machine)
	return snap
}

// step lets the statechart decide and records what follows.
func step(in Input, snap *events.Snapshot, what fsm.Input, cause []events.UUID) (Decision, error) {
	what.Now = in.Now
	what.Instance, what.Seed, what.Work = instanceOf(snap), in.Seed, in.Work
	chart, effects, err := in.Machine.Step(snap.Chart, what)
	r := newRecorder(in, snap, cause)
	if what.Kind == fsm.InputStart && snap.SequenceNumber == 0 {
		r.created(in.Command)
	}
	var incident *fsm.Incident
	switch {
	case errors.As(err, &incident) && isLife(in.Command) && what.Kind != fsm.InputStart:
		return Answer(in, snap, events.OutcomeRejected, incident.Code, "it would lead to an incident: "+incident.Error()), nil
	case errors.As(err, &incident):
		r.park(incident)
		return r.bounded()
	case err != nil:
		return Decision{}, fmt.Errorf("decide on %s %s: %w", snap.WorkflowType, snap.InstanceID, err)
	}
	if ignored, ok := onlyIgnored(effects); ok {
		d := unreacted(in, snap, &ignored)
		if in.Timer == nil && len(seenNames(in)) > 0 {
			d.Next = r.unchanged()
		}
		return d, nil
	}
	r.next.Chart, r.stepped = chart, true
	r.recordAll(what, effects)
	return r.bounded()
}

// recordAll turns the effects of an input into what they stand for.
func (r *recorder) recordAll(what fsm.Input, effects []fsm.Effect) {
	finished := r.next.State.Finished()
	if what.Kind == fsm.InputEvent && !begins(effects, what.Name) {
		// No state was left or entered: data may have changed, and the sender
		// finds in the history that the signal was taken.
		r.transitioned(fsm.Transitioned{Event: what.Name, Active: r.before.Active})
	}
	for _, effect := range effects {
		r.record(effect)
	}
	if timer := r.in.Timer; timer != nil && len(r.made.Events) == 0 && !finished {
		// A timer that led to nothing is over all the same; without this event the
		// history would not say so.
		r.transitioned(fsm.Transitioned{Event: timerName(timer), Active: r.next.Chart.Active})
	}
}

func instanceOf(s *events.Snapshot) fsm.Instance {
	return fsm.Instance{ID: s.InstanceID, Type: s.WorkflowType, Key: s.Key, Version: s.Version}
}

// begins reports whether the effects begin with the transition that event led to.
func begins(effects []fsm.Effect, event string) bool {
	if len(effects) == 0 {
		return false
	}
	first, ok := effects[0].(fsm.Transitioned)
	return ok && first.Event == event
}

// timerName is what the history calls a timer that led to nothing.
func timerName(t *events.Timer) string {
	if t.Event != "" {
		return t.Event
	}
	return string(t.Kind) + "." + t.Ref
}

func onlyIgnored(effects []fsm.Effect) (fsm.Ignored, bool) {
	if len(effects) != 1 {
		return fsm.Ignored{}, false
	}
	ignored, ok := effects[0].(fsm.Ignored)
	return ignored, ok
}

// outsideCause is the causal chain of a command that a producer sent: the chain
// of the input, or its causation, when it names one.
func outsideCause(c *events.Command) []events.UUID {
	if len(c.CorrelationChain) > 0 {
		return c.CorrelationChain
	}
	if c.CausationID.IsNil() {
		return nil
	}
	return []events.UUID{c.CausationID}
}

// taskCause is the chain that ends in the event that asked for the task.
func taskCause(snap *events.Snapshot, task events.UUID) []events.UUID {
	for i := range snap.Chart.Tasks {
		if snap.Chart.Tasks[i].TaskID == task {
			return snap.Chart.Tasks[i].Cause
		}
	}
	return nil
}
