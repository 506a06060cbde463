package decide

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/leat-io/leat/internal/facts"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// CodeCannotMove answers a migration or a reset that this instance cannot follow.
const CodeCannotMove = "CANNOT_MOVE"

// Versions lists the versions that a decision on c needs besides the
// instance's own. c is nil for a timer.
func Versions(c *events.Command) []int32 {
	if !evolves(c) {
		return nil
	}
	if c.Command == events.CommandMigrate {
		return []int32{c.Version}
	}
	p, err := facts.ReadReset(c.Payload)
	if err != nil {
		return nil // the decision says what is wrong
	}
	var list []int32
	for i := range p.Facts {
		list = append(list, p.Facts[i].Version)
		if past := p.Facts[i].Command; past != nil && past.Command == events.CommandMigrate {
			list = append(list, past.Version)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// machinesOf is what the caller found of [Versions].
func (in *Input) machinesOf(version int32) *fsm.Machine {
	if in.Machine != nil && in.Machine.Version() == version {
		return in.Machine
	}
	return in.Others[version]
}

// migrate moves an instance to another version of its definition.
func migrate(in Input, snap *events.Snapshot) (Decision, error) {
	c := in.Command
	refused := func(code, format string, args ...any) (Decision, error) {
		return Answer(in, snap, events.OutcomeRejected, code, fmt.Sprintf(format, args...)), nil
	}
	var mapping facts.MigratePayload
	if len(c.Payload) > 0 {
		if err := json.Unmarshal(c.Payload, &mapping); err != nil {
			return refused(CodeInvalidInput, "the payload of a migrate is {states: {old: new}}: %v", err)
		}
	}
	to := in.machinesOf(c.Version)
	switch {
	case snap.State.Finished():
		return refused(CodeFinished, "the instance is %s: it stays on version %d", snap.State, snap.Version)
	case c.Version == snap.Version:
		return refused(CodeCannotMove, "the instance is on version %d already", snap.Version)
	case to == nil:
		return refused(CodeUnknownVersion, "version %d of %q is not deployed; deploy it with `leat def deploy`", c.Version, c.WorkflowType)
	}
	for _, f := range in.Machine.CheckMigration(to, mapping.States) {
		if f.Fatal {
			return refused(CodeCannotMove, "%s %s", f.Subject, f.Text)
		}
	}
	what := fsm.Input{Now: in.Now, Instance: instanceOf(snap), Seed: in.Seed}
	what.Instance.Version = to.Version()
	chart, effects, err := in.Machine.Migrate(to, mapping.States, snap.Chart, what)
	if err != nil {
		return refused(CodeCannotMove, "%v", err)
	}
	r := newRecorder(in, snap, outsideCause(c))
	r.in.Machine = to
	r.next.Version, r.next.Chart = to.Version(), chart
	declare(r.next, to)
	for _, effect := range effects {
		if moved, ok := effect.(fsm.Migrated); ok {
			r.migrated(moved)
			continue
		}
		r.record(effect)
	}
	return r.bounded()
}

func (r *recorder) migrated(m fsm.Migrated) {
	r.event(events.EventStateTransitioned, events.StateTransitionedData{
		Transition: &events.TransitionData{Event: string(events.CommandMigrate), Exited: m.Exited, Entered: m.Entered, Active: m.Active},
		Migration:  &events.MigrationData{From: m.From, To: m.To}, ByOperator: r.operator(),
	}, r.in.Command.Payload)
}

// reset returns an instance to its state after an earlier event. The command
// carries the inputs that led there; deciding them again gives that state, and
// shows that they are what happened.
func reset(in Input, snap *events.Snapshot) (Decision, error) {
	p, err := facts.ReadReset(in.Command.Payload)
	if err == nil && p.ResetTo >= snap.SequenceNumber {
		err = fmt.Errorf("the instance is at sequence %d, and %d is not an earlier one", snap.SequenceNumber, p.ResetTo)
	}
	if err != nil {
		return Answer(in, snap, events.OutcomeRejected, CodeInvalidInput, err.Error()), nil
	}
	past, err := recall(&in, snap, &p)
	if errors.Is(err, errMuchToRecall) {
		return Answer(in, snap, events.OutcomeRejected, fsm.CodeWork, err.Error()), nil
	}
	if err != nil {
		return Answer(in, snap, events.OutcomeRejected, CodeInvalidInput, "the facts are not the history of this instance: "+err.Error()), nil //nolint:nilerr // the sender gets it
	}
	return resetTo(in, snap, past, p.ResetTo)
}

// recallWork bounds what a reset decides again, in units of [fsm.MaxWork]: some
// seconds at worst, in which the lane decides nothing else.
const recallWork = 2 * fsm.MaxWork

var errMuchToRecall = fmt.Errorf("what led there is more than can be decided again at once (%d operations): reset to an earlier sequence", recallWork)

// recall decides the facts of a reset again.
func recall(in *Input, snap *events.Snapshot, p *facts.ResetPayload) (*events.Snapshot, error) {
	first := &p.Facts[0]
	if !first.Now.Equal(snap.CreatedAt) || first.Command.Key != snap.Key || first.Command.CorrelationID != snap.CorrelationID {
		return nil, errors.New("they begin with another start")
	}
	replay := &replayer{machines: in.machinesOf, keep: make(map[int64]*events.Snapshot)}
	for i := range p.Facts {
		replay.keep[p.Facts[i].ResetTo] = nil
	}
	next := int64(1)
	for i := range p.Facts {
		f := &p.Facts[i]
		f.Of(snap.WorkflowType, snap.InstanceID)
		if f.Sequence != next || f.Count < 1 {
			return nil, fmt.Errorf("fact %d is of sequence %d, want %d", i+1, f.Sequence, next)
		}
		next += int64(f.Count)
		d, err := replay.decide(f)
		if err != nil {
			return nil, fmt.Errorf("sequence %d: %w", f.Sequence, err)
		}
		if replay.work > recallWork {
			return nil, errMuchToRecall
		}
		if len(d.Events) != f.Count {
			return nil, fmt.Errorf("sequence %d leads to %d events, and the history has %d", f.Sequence, len(d.Events), f.Count)
		}
	}
	if replay.snap.SequenceNumber != p.ResetTo {
		return nil, fmt.Errorf("they end at sequence %d, not %d", replay.snap.SequenceNumber, p.ResetTo)
	}
	return replay.snap, nil
}

// resetTo goes back to past, which is the instance after sequence to.
func resetTo(in Input, snap, past *events.Snapshot, to int64) (Decision, error) {
	refused := func(code, format string, args ...any) (Decision, error) {
		return Answer(in, snap, events.OutcomeRejected, code, fmt.Sprintf(format, args...)), nil
	}
	machine := in.machinesOf(past.Version)
	switch {
	case !snap.ForgottenAt.IsZero():
		return refused(CodeFinished, "the instance is finished and its retention is over")
	case snap.State == events.WorkflowCompensated || snap.State == events.WorkflowCompensating:
		return refused(CodeIllegalTransition, "the instance is %s: what it did has been undone, and does not count as done", snap.State)
	case machine == nil:
		return refused(CodeUnknownVersion, "version %d of %q, on which the instance was then, is not deployed here", past.Version, snap.WorkflowType)
	}
	what := fsm.Input{Now: in.Now, Instance: instanceOf(snap), Seed: in.Seed}
	what.Instance.Version = past.Version
	chart, effects, err := machine.Reset(past.Chart, snap.Chart, past.UpdatedAt, what)
	if err != nil {
		return refused(CodeCannotMove, "%v", err)
	}
	in.Machine = machine // what was held is decided under that version too
	r := newRecorder(in, snap, outsideCause(in.Command))
	// A new run: how the one before it ended, and the table of legal transitions,
	// which is of one run, do not count.
	r.next.Version, r.next.Chart, r.next.State = past.Version, chart, past.State
	if r.next.State == events.WorkflowPaused {
		r.next.State = events.WorkflowRunning
	}
	r.next.Paused = nil
	r.next.Error, r.next.Output, r.next.FinishedAt, r.next.Incident = past.Error, nil, past.FinishedAt, past.Incident
	declare(r.next, machine)
	r.event(events.EventWorkflowRetrying, events.WorkflowRetryingData{
		Reset: &events.ResetData{To: to, State: snap.State, From: snap.Chart.Active, Active: chart.Active}, ByOperator: r.operator(),
	}, nil)
	for _, effect := range effects {
		r.record(effect)
	}
	d, err := r.bounded()
	if err != nil {
		return d, err
	}
	return release(in, d) // signals that the run before held are not lost
}
