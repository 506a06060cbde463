package memory

import (
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
)

// Decide says which events follow from a start or a signal, for an instance in
// state; "" when there is none yet, and then a start is all that comes. None
// means that nothing reacts to it. It is pure.
type Decide func(c *events.Command, state events.WorkflowState) []events.EventType

// Journal writes everything down: a start creates and starts the instance, every
// signal is a transition, and the signal "close" completes it.
func Journal(c *events.Command, _ events.WorkflowState) []events.EventType {
	switch {
	case c.Command == events.CommandStart:
		return []events.EventType{events.EventWorkflowCreated, events.EventWorkflowStarted}
	case c.Event == "close":
		return []events.EventType{events.EventStateTransitioned, events.EventWorkflowCompleted}
	default:
		return []events.EventType{events.EventStateTransitioned}
	}
}

// instance is one history and its snapshot.
type instance struct {
	events   []events.Event
	snapshot events.Snapshot
}

// source is who decided, as the events say.
const source = "memory"

// decideOn decides a command with the router's rules for duplicates, expected
// sequences and what cannot be done, and completes ack.
func (t *workflowType) decideOn(c *events.Command, ack *workflow.Ack) ([]events.Event, error) {
	i := t.instances[c.InstanceID]
	newest := int64(0)
	if i != nil {
		newest = i.snapshot.SequenceNumber
		names := seenNames(c)
		for _, seen := range i.snapshot.Seen {
			if slices.Contains(names, seen.Name) {
				i.duplicate(ack, seen.Sequence)
				return nil, nil
			}
		}
	}
	switch {
	case c.ExpectedSequence != nil && *c.ExpectedSequence != newest:
		ack.Status = events.OutcomeConflict
		return nil, refusal(workflow.ErrConflict, "SEQUENCE_CONFLICT", fmt.Sprintf("expected_sequence is %d and the instance is at %d", *c.ExpectedSequence, newest))
	case c.Command == events.CommandStart && i != nil:
		i.duplicate(ack, 1)
		return nil, nil
	case c.Command == events.CommandSignal && i == nil:
		ack.Status = events.OutcomeRejected
		return nil, refusal(workflow.ErrRejected, "NOT_FOUND", "no such instance: it was never started, or its key is of another type; an id is written id:UUID")
	case i != nil && i.snapshot.State.Finished():
		ack.Status = events.OutcomeRejected
		return nil, refusal(workflow.ErrRejected, "FINISHED", fmt.Sprintf("the instance is %s and takes no more signals", i.snapshot.State))
	}
	return t.record(c, i, ack), nil
}

// record adds what follows to the instance's history.
func (t *workflowType) record(c *events.Command, i *instance, ack *workflow.Ack) []events.Event {
	now := events.Instant(time.Now())
	if i == nil {
		i = &instance{snapshot: begin(c, now)}
	}
	s := &i.snapshot
	state := s.State
	if s.SequenceNumber == 0 {
		state = ""
	}
	types := t.decide(c, state)
	first := s.SequenceNumber + 1
	if len(types) == 0 {
		first, ack.Status = 0, events.OutcomeIgnored
	} else {
		ack.EventID, ack.SequenceNumber = events.EventID(c.WorkflowType, c.InstanceID, first), first
		t.instances[c.InstanceID] = i
	}
	for _, name := range seenNames(c) {
		s.Seen = append(s.Seen, events.SeenCommand{Name: name, Sequence: first})
	}
	s.Seen = s.Seen[max(0, len(s.Seen)-events.MaxSeenCommands):]
	made := i.events[len(i.events):]
	for _, eventType := range types {
		made = append(made, i.event(c, eventType, first, now))
	}
	i.events = append(i.events, made...)
	return made
}

func begin(c *events.Command, now time.Time) events.Snapshot {
	correlation := c.CorrelationID
	if correlation.IsNil() {
		correlation = c.CommandID
	}
	return events.Snapshot{
		WorkflowType: c.WorkflowType, InstanceID: c.InstanceID, Key: c.Key, Version: max(c.Version, 1), State: events.WorkflowPending,
		CorrelationID: correlation, CreatedAt: now, Isolation: events.ReadCommitted,
	}
}

// event makes the next event of a decision that began with sequence first.
func (i *instance) event(c *events.Command, eventType events.EventType, first int64, now time.Time) events.Event {
	s := &i.snapshot
	s.SequenceNumber++
	s.UpdatedAt = now
	e := events.Event{
		EventID: events.EventID(s.WorkflowType, s.InstanceID, s.SequenceNumber), EventType: eventType,
		WorkflowType: s.WorkflowType, InstanceID: s.InstanceID, CorrelationID: s.CorrelationID,
		SequenceNumber: s.SequenceNumber, Timestamp: now, Source: source,
		IdempotencyKey: fmt.Sprintf("%s-%s-%d", s.WorkflowType, s.InstanceID, s.SequenceNumber),
		Metadata:       map[string]events.ContextValue{events.MetadataCommandID: events.String(c.CommandID.String())},
	}
	if !c.CausationID.IsNil() {
		e.CorrelationChain = []events.UUID{c.CausationID}
	}
	if s.SequenceNumber == first {
		e.Payload = c.Payload
	} else {
		e.CorrelationChain = append(e.CorrelationChain, events.EventID(s.WorkflowType, s.InstanceID, first))
	}
	if n := len(e.CorrelationChain); n > 0 {
		e.CausationID = e.CorrelationChain[n-1]
	}
	if c.Command == events.CommandSignal && eventType == events.EventStateTransitioned {
		e.Metadata[events.MetadataDomainEvent] = events.String(c.Event)
	}
	if next, ok := stateAfter[eventType]; ok {
		s.State = next
	}
	if s.State.Finished() {
		s.FinishedAt = now
	}
	return e
}

// stateAfter is where an event leads to; the others change no workflow state.
var stateAfter = map[events.EventType]events.WorkflowState{
	events.EventWorkflowStarted:   events.WorkflowRunning,
	events.EventWorkflowPaused:    events.WorkflowPaused,
	events.EventWorkflowResumed:   events.WorkflowRunning,
	events.EventWorkflowCompleted: events.WorkflowCompleted,
	events.EventWorkflowFailed:    events.WorkflowFailed,
	events.EventWorkflowCancelled: events.WorkflowCancelled,
}

func (i *instance) duplicate(ack *workflow.Ack, sequence int64) {
	ack.Status, ack.SequenceNumber = events.OutcomeDuplicate, sequence
	if sequence > 0 {
		ack.EventID = events.EventID(i.snapshot.WorkflowType, i.snapshot.InstanceID, sequence)
	}
}

// seenNames are the names under which a command is recognised when it comes again.
func seenNames(c *events.Command) []events.UUID {
	names := []events.UUID{c.CommandID}
	if c.IdempotencyKey != "" {
		names = append(names, events.DeriveUUID(events.Namespace, "idempotency/"+c.IdempotencyKey))
	}
	return names
}

func refusal(kind error, code, message string) error {
	return fmt.Errorf("%w: %w", kind, &events.Error{Code: code, Message: message})
}
