package router

import (
	"errors"
	"fmt"
	"slices"
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

// input is what one decision is about: a command, or a timer that is due.
type input struct {
	command  *events.Command
	explicit bool // the producer chose the command id, so it may come again
	timer    *events.Timer
	machine  *fsm.Machine           // nil when the wanted version is not deployed
	others   map[int32]*fsm.Machine // the versions that versionsOf lists
	now      time.Time              // one instant for a whole transaction, in microseconds
	source   string                 // the deciding router's slot
	replay   bool                   // of a history, which says by itself when what was held was decided
	seed     []byte                 // of the tokens of attempts that are issued; nil in a replay
	own      bool                   // the router asks by itself: nobody waits for the outcome
	work     *int                   // what the steps of the decision cost is added to it; nil: nobody asks
	crowded  bool                   // the tree of this child is as large as a tree may be
	// writable says what keeps a part of a decision from being written; nil: all can be.
	writable func(*decision) error
	// unwritten is what kept this input's decision from being written, as the
	// history that is replayed says; nil otherwise.
	unwritten *events.Error
}

// decision is what follows from an input. The zero decision changes nothing.
type decision struct {
	events  []events.Event
	tasks   []events.Task
	signals []fsm.SendSignal
	sends   []events.Command // to parents and children
	next    *events.Snapshot // nil when the instance stays as it is
	outcome *events.Outcome
	later   []events.Outcome // of commands that were held until now
	logs    []string
	audit   []events.AuditEvent
	forged  int // reports without the token of their attempt
}

// decide says what follows from in for an instance that stands at snap (nil for
// none). It is pure: the same arguments give the same decision, and snap is not
// changed. An error means that the instance cannot decide at all; it never
// comes from what a client sent.
func decide(in input, snap *events.Snapshot) (d decision, err error) {
	defer rescue(&err)
	if in.unwritten != nil {
		if parked, ok := undecidable(in, snap, in.unwritten); ok {
			return parked, nil
		}
	}
	if d, err = decideOn(in, snap); err == nil {
		d.tellParent(in)
		d.audit = audit(in, snap, d)
	}
	return d, err
}

func decideOn(in input, snap *events.Snapshot) (decision, error) {
	if d, done := asChild(in, snap); done {
		return d, nil
	}
	if in.timer != nil && in.timer.Kind == events.TimerRetention {
		return forget(in, snap), nil
	}
	if in.timer != nil {
		return decideTimer(in, snap)
	}
	if d, done := refuse(in, snap); done {
		return d, nil
	}
	return dispatch(in, snap)
}

func decideTimer(in input, snap *events.Snapshot) (decision, error) {
	if behind(snap) {
		return decision{}, nil // it fires when the instance goes on
	}
	if in.machine == nil {
		return decision{}, notDeployed(snap)
	}
	return step(in, snap, fsm.Input{Kind: fsm.InputTimer, TimerID: in.timer.ID}, in.timer.Cause)
}

// dispatch decides a command that nothing speaks against.
func dispatch(in input, snap *events.Snapshot) (decision, error) {
	c := in.command
	switch c.Command {
	case events.CommandStart:
		return start(in)
	case events.CommandSignal:
		return step(in, snap, fsm.Input{Kind: fsm.InputEvent, Name: c.Event, Data: c.Payload}, outsideCause(c))
	case events.CommandPause, events.CommandResume, events.CommandCancel, events.CommandTerminate, events.CommandRetry:
		return life(in, snap)
	case events.CommandReset:
		return reset(in, snap)
	case events.CommandMigrate:
		return migrate(in, snap)
	default:
		if in.machine == nil {
			return decision{}, notDeployed(snap)
		}
		kind := map[events.CommandType]fsm.InputKind{
			events.CommandClaim: fsm.InputClaim, events.CommandHeartbeat: fsm.InputHeartbeat, events.CommandResult: fsm.InputResult,
		}[c.Command]
		return step(in, snap, fsm.Input{Kind: kind, Task: c.Result, Data: c.Payload}, taskCause(snap, c.Result.TaskID))
	}
}

// refuse answers the commands that are not decided on: duplicates, conflicts
// and what cannot be done.
func refuse(in input, snap *events.Snapshot) (decision, bool) {
	c := in.command
	if snap != nil {
		if seen, ok := findSeen(snap, in); ok {
			return duplicate(in, snap, seen.Sequence), true
		}
	}
	if why := conflict(c, snap); why != "" {
		return answer(in, snap, events.OutcomeConflict, CodeSequenceConflict, why), true
	}
	if d, done := refuseForgotten(in, snap); done {
		return d, true
	}
	switch {
	case c.Command == events.CommandStart && snap != nil:
		return duplicate(in, snap, 1), true
	case c.Command == events.CommandStart && in.machine == nil:
		return answer(in, snap, events.OutcomeRejected, CodeUnknownVersion,
			fmt.Sprintf("version %d of %q is not deployed; deploy it with `leat def deploy`", c.Version, c.WorkflowType)), true
	case in.crowded && c.Command == events.CommandStart:
		return answer(in, snap, events.OutcomeRejected, CodeTooMany, fmt.Sprintf(
			"the tree of child workflows below %s has too many of type %s, at most %d, or %d in one partition: do they start themselves?",
			c.Parent.Root, c.WorkflowType, maxTree, minTree)), true
	case c.Command != events.CommandStart && snap == nil:
		return answer(in, snap, events.OutcomeRejected, CodeNotFound,
			"no such instance: it was never started, or its key is of another type; an id is written id:UUID"), true
	case snap != nil:
		if d, done := refuseRunning(in, snap); done {
			return d, true
		}
	}
	return refuseLarge(in, snap)
}

// refuseRunning answers what an instance cannot decide as it stands, and holds
// what has to wait.
func refuseRunning(in input, snap *events.Snapshot) (decision, bool) {
	c := in.command
	switch {
	case c.Command == events.CommandSignal && snap.State.Finished():
		return answer(in, snap, events.OutcomeRejected, CodeFinished,
			fmt.Sprintf("the instance is %s and takes no more signals", snap.State)), true
	case mustExpect(c, snap):
		return answer(in, snap, events.OutcomeRejected, CodeExpectationMissing, fmt.Sprintf(
			"isolation is %s: say in expected_sequence what you have read, it is at %d now", snap.Isolation, snap.SequenceNumber)), true
	case holds(c, snap) && in.replay && c.Command == events.CommandResult:
		return absorbOne(in, snap), true
	case holds(c, snap):
		return hold(in, snap), true
	case in.machine == nil && c.Command == events.CommandResult && stale(snap, c.Result) == nil:
		return decision{}, false // it is the instance's incident, and the result is kept
	case in.machine == nil && !isLife(c):
		return answer(in, snap, events.OutcomeRejected, CodeUnknownVersion,
			fmt.Sprintf("version %d of %q, which the instance runs on, is not deployed here", snap.Version, snap.WorkflowType)), true
	}
	return decision{}, false
}

// notDeployed keeps an input from being decided until its version is there.
func notDeployed(snap *events.Snapshot) error {
	return &codedError{CodeUnknownVersion, fmt.Errorf("version %d of %q, which the instance runs on, is not deployed: deploy it, then `leat retry`",
		snap.Version, snap.WorkflowType)}
}

func sequenceOf(snap *events.Snapshot) int64 {
	if snap == nil {
		return 0
	}
	return snap.SequenceNumber
}

// seenNames are the names under which a command is recognised when it comes
// again. Reports of executors need none: their attempt number tells.
func seenNames(in input) []events.UUID {
	c := in.command
	if c == nil || c.Command == events.CommandClaim || c.Command == events.CommandHeartbeat || c.Command == events.CommandResult {
		return nil
	}
	var names []events.UUID
	if in.explicit {
		names = append(names, c.CommandID)
	}
	if c.IdempotencyKey != "" {
		names = append(names, events.DeriveUUID(events.Namespace, "idempotency/"+c.IdempotencyKey))
	}
	return names
}

func findSeen(snap *events.Snapshot, in input) (events.SeenCommand, bool) {
	names := seenNames(in)
	for _, seen := range snap.Seen {
		if slices.Contains(names, seen.Name) {
			return seen, true
		}
	}
	return events.SeenCommand{}, false
}

// remember adds the command to those that the instance has seen.
func remember(seen []events.SeenCommand, in input, sequence int64) []events.SeenCommand {
	names := seenNames(in)
	if len(names) == 0 {
		return seen
	}
	kept := slices.DeleteFunc(append(make([]events.SeenCommand, 0, len(seen)+len(names)), seen...),
		func(s events.SeenCommand) bool { return slices.Contains(names, s.Name) }) // what was held comes again
	for _, name := range names {
		kept = append(kept, events.SeenCommand{Name: name, Sequence: sequence})
	}
	return kept[max(0, len(kept)-events.MaxSeenCommands):]
}

// answer is a decision that only says why nothing happens.
func answer(in input, snap *events.Snapshot, status events.OutcomeStatus, code, message string) decision {
	c := in.command
	if c == nil || c.Command == events.CommandHeartbeat || c.Command == events.CommandClaim && !c.CausationID.IsNil() {
		return decision{} // executors, who are told why they claim, do not wait; people do
	}
	return decision{outcome: &events.Outcome{
		CommandID: c.CommandID, WorkflowType: c.WorkflowType, InstanceID: c.InstanceID, Status: status,
		Error:          &events.Error{Code: code, Message: events.Cut(message, events.MaxMessageLength)},
		SequenceNumber: sequenceOf(snap), Timestamp: in.now,
	}}
}

// unreacted answers what led to nothing, and counts what is forged.
func unreacted(in input, snap *events.Snapshot, why *fsm.Ignored) decision {
	d := answer(in, snap, statusOf(why.Code), why.Code, why.Message)
	if why.Code == fsm.WrongToken {
		d.forged++
	}
	return d
}

func duplicate(in input, snap *events.Snapshot, sequence int64) decision {
	o := events.Outcome{
		CommandID: in.command.CommandID, WorkflowType: snap.WorkflowType, InstanceID: snap.InstanceID,
		Status: events.OutcomeDuplicate, SequenceNumber: sequence, Timestamp: in.now,
	}
	if sequence > 0 {
		o.EventID = events.EventID(snap.WorkflowType, snap.InstanceID, sequence)
	}
	return decision{outcome: &o}
}

// start begins an instance.
func start(in input) (decision, error) {
	c := in.command
	if err := in.machine.CheckInput(c.Payload); err != nil {
		return answer(in, nil, events.OutcomeRejected, CodeInvalidInput, err.Error()), nil
	}
	return step(in, begin(in), fsm.Input{Kind: fsm.InputStart, Data: c.Payload}, outsideCause(c))
}

// begin is an instance before its first event.
func begin(in input) *events.Snapshot {
	c := in.command
	correlation := c.CorrelationID
	if correlation.IsNil() {
		correlation = c.CommandID
	}
	snap := &events.Snapshot{
		WorkflowType: c.WorkflowType, InstanceID: c.InstanceID, Key: c.Key, Version: in.machine.Version(),
		State: events.WorkflowPending, CorrelationID: correlation, Parent: c.Parent, CreatedAt: in.now, UpdatedAt: in.now,
	}
	declare(snap, in.machine)
	return snap
}

// step lets the statechart decide and records what follows.
func step(in input, snap *events.Snapshot, what fsm.Input, cause []events.UUID) (decision, error) {
	what.Now = in.now
	what.Instance, what.Seed, what.Work = instanceOf(snap), in.seed, in.work
	chart, effects, err := in.machine.Step(snap.Chart, what)
	r := newRecorder(in, snap, cause)
	if what.Kind == fsm.InputStart && snap.SequenceNumber == 0 {
		r.created(in.command)
	}
	var incident *fsm.Incident
	switch {
	case errors.As(err, &incident) && isLife(in.command) && what.Kind != fsm.InputStart:
		return answer(in, snap, events.OutcomeRejected, incident.Code, "it would lead to an incident: "+incident.Error()), nil
	case errors.As(err, &incident):
		r.park(incident)
		return r.bounded()
	case err != nil:
		return decision{}, fmt.Errorf("decide on %s %s: %w", snap.WorkflowType, snap.InstanceID, err)
	}
	if ignored, ok := onlyIgnored(effects); ok {
		d := unreacted(in, snap, &ignored)
		if in.timer == nil && len(seenNames(in)) > 0 {
			d.next = r.unchanged()
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
	if timer := r.in.timer; timer != nil && len(r.made.events) == 0 && !finished {
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
// that it brings, or its causation, when it names one.
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
