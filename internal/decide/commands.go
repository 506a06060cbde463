package decide

import (
	"slices"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// kind is what there is to know of one kind of command: a row of the table in
// [kindOf]. Everything that treats commands differently by their kind asks here.
type kind struct {
	from sender // who sends it
	// to is the state that it leads an instance to, over the head of the
	// statechart: it acts on the life of the instance. "" for the other commands,
	// of which the statechart says where they lead.
	to events.WorkflowState
	// possible says whether an instance can be asked for it. Only of a command
	// that acts on the life of an instance; any other is decided by its content.
	possible func(*events.Snapshot) bool
	audited  bool          // the audit keeps who asked for it, whatever came of it
	evolves  bool          // it moves an instance to another version or to its own past
	held     bool          // it waits while its instance holds
	reads    bool          // it only asks: it changes nothing, and is answered whatever state the instance is in
	bare     bool          // it can be decided without the definition
	input    fsm.InputKind // of a report: what the statechart takes it for
	decide   func(Input, *events.Snapshot) (Decision, error)
}

// sender is a set of those who send a kind of command. Kafka lets anybody write
// one; these are the ones who have a reason to, and on whom the others count.
type sender uint8

const (
	clients   sender = 1 << iota // programs and people who use a workflow
	operators                    // people who operate instances
	executors                    // who works on tasks; of a human task a person
	parents                      // instances, to the children that they start
	children                     // instances, to the parent that waits for them
	others                       // instances, to any other
	itself                       // an instance, to go on with what it held
	schedules                    // which start instances, and make room for the next
)

// kindOf is the table of commands. It is a function and no variable because what
// decides a command reads the table itself.
func kindOf(c events.CommandType) kind {
	switch c {
	case events.CommandStart:
		return kind{from: clients | parents | schedules, decide: start}
	case events.CommandSignal:
		return kind{from: clients | others, held: true, decide: signal}
	case events.CommandClaim:
		return kind{from: executors, input: fsm.InputClaim, decide: report}
	case events.CommandHeartbeat:
		return kind{from: executors, input: fsm.InputHeartbeat, decide: report}
	case events.CommandResult:
		return kind{from: executors | children, held: true, input: fsm.InputResult, decide: report}
	case events.CommandPause:
		return kind{from: operators, to: events.WorkflowPaused, possible: canPause, audited: true, bare: true, decide: pause}
	case events.CommandResume:
		return kind{from: operators | itself, to: events.WorkflowRunning, possible: canResume, audited: true, decide: resume}
	case events.CommandCancel:
		return kind{from: operators | parents | schedules, to: events.WorkflowCancelled, possible: canCancel, audited: true, decide: cancel}
	case events.CommandTerminate:
		return kind{from: operators | parents | schedules, to: events.WorkflowCancelled, possible: canTerminate, audited: true, bare: true, decide: terminate}
	case events.CommandRetry:
		return kind{from: operators, to: events.WorkflowRetrying, possible: canRetry, audited: true, decide: retry}
	case events.CommandDescribe:
		return kind{from: clients, reads: true, bare: true, decide: whereIs}
	case events.CommandReset:
		return kind{from: operators, audited: true, evolves: true, decide: reset}
	case events.CommandMigrate:
		return kind{from: operators, audited: true, evolves: true, decide: migrate}
	}
	return kind{} // no such command passes events.Command.Validate
}

// typeOf is the kind of a command, which may be nil: a timer has none.
func typeOf(c *events.Command) kind {
	if c == nil {
		return kind{}
	}
	return kindOf(c.Command)
}

// isLife reports whether a command changes the workflow state of an instance.
func isLife(c *events.Command) bool { return typeOf(c).to != "" }

// evolves reports whether a command is about versions or about the past.
func evolves(c *events.Command) bool { return typeOf(c).evolves }

// isReport reports whether a command comes from the worker of a task.
func isReport(c *events.Command) bool { return typeOf(c).from&executors != 0 }

// Reads reports whether a command only asks where an instance is. It may be nil.
func Reads(c *events.Command) bool { return typeOf(c).reads }

// OfOperator reports whether a command is one of those with which operators look
// after instances. It may be nil.
func OfOperator(c *events.Command) bool { return typeOf(c).from&operators != 0 }

// possible lists the commands that an instance accepts in its state.
func possible(s *events.Snapshot) (can []events.CommandType) {
	if !s.ForgottenAt.IsZero() {
		return nil
	}
	for _, c := range events.CommandTypes() {
		if k := kindOf(c); k.possible != nil && k.possible(s) {
			can = append(can, c)
		}
	}
	return can
}

// What can be asked of an instance follows from the legal transitions of its
// state, with a few exceptions.

func canPause(s *events.Snapshot) bool { return fsm.LegalWorkflow(s.State, events.WorkflowPaused) }

// canResume is true also of an instance that is behind: it would go on by itself.
func canResume(s *events.Snapshot) bool {
	return s.State == events.WorkflowPaused || len(s.Held) > 0 && s.Incident == nil
}

// canCancel is false of an instance that undoes what it did: it is ending in good
// order already.
func canCancel(s *events.Snapshot) bool {
	return s.State != events.WorkflowCompensating && canTerminate(s)
}

func canTerminate(s *events.Snapshot) bool {
	return fsm.LegalWorkflow(s.State, events.WorkflowCancelled)
}

// canRetry is true also of an incident, and of tasks that wait for their next
// attempt. A paused instance has to go on first.
func canRetry(s *events.Snapshot) bool {
	waits := func(t events.TaskStatus) bool { return t.State == events.TaskRetrying }
	return s.State != events.WorkflowPaused &&
		(s.Incident != nil || slices.ContainsFunc(s.Chart.Tasks, waits) || fsm.LegalWorkflow(s.State, events.WorkflowRetrying))
}
