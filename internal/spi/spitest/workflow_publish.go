package spitest

import (
	"context"
	"errors"
	"fmt"

	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
)

func publishAcknowledged(ctx context.Context, s WorkflowSetup) error {
	start := s.start(newID())
	ack, err := s.ask(ctx, start)
	if err != nil {
		return err
	}
	want := workflow.Ack{
		CommandID: start.CommandID, InstanceID: start.InstanceID, SequenceNumber: 1, EventID: events.EventID(s.Type, start.InstanceID, 1),
	}
	if ack != want {
		return fmt.Errorf("acknowledged with %+v, want %+v", ack, want)
	}
	ack, err = s.ask(ctx, s.signal(start.InstanceID, "note"))
	if err != nil {
		return err
	}
	history, err := s.Bus.ReplayEvents(ctx, s.Type, start.InstanceID, ack.SequenceNumber)
	if err != nil {
		return err
	}
	if len(history) != 1 || history[0].EventID != ack.EventID || history[0].EventType != events.EventStateTransitioned {
		return fmt.Errorf("acknowledged with %+v, but the history there is %+v", ack, history)
	}
	return nil
}

func commandsDoNotWait(ctx context.Context, s WorkflowSetup) error {
	const n = 50
	id := newID()
	gate, finished := make(chan struct{}), newCollector[error]()
	err := inTime(ctx, "PublishCommand to return while a completion is stuck", func() {
		for i := range n {
			c := s.start(id)
			if i > 0 {
				c = s.signal(id, "note")
			}
			s.Bus.PublishCommand(ctx, c, func(_ workflow.Ack, err error) {
				<-gate
				finished.add(err)
			})
		}
	})
	close(gate)
	if err != nil {
		return err
	}
	all, err := finished.count(ctx, n)
	if err = errors.Join(append(all, err)...); err != nil {
		return fmt.Errorf("commands of one goroutine keep their order, so all are accepted: %w", err)
	}
	return nil
}

func commandsRefused(ctx context.Context, s WorkflowSetup) error {
	id, finished := newID(), newID()
	for _, c := range []events.Command{s.start(id), s.start(finished), s.signal(finished, "close")} {
		if _, err := s.ask(ctx, c); err != nil {
			return err
		}
	}
	unknown, nobody, claim := s.start(newID()), s.start(events.Nil), s.start(id)
	unknown.WorkflowType = unknownType
	claim.Command, claim.Result = events.CommandClaim, &events.TaskResult{TaskID: newID(), Attempt: 1}
	var p problems
	for _, c := range []struct {
		what    string
		ended   bool // the context
		command events.Command
		want    error
	}{
		{"a start of an unknown type", false, unknown, workflow.ErrUnknownType},
		{"a start of no instance", false, nobody, workflow.ErrInvalid},
		{"an executor's command", false, claim, workflow.ErrInvalid},
		{"a signal to nobody", false, s.signal(newID(), "note"), workflow.ErrRejected},
		{"a signal to an instance that has ended", false, s.signal(finished, "note"), workflow.ErrRejected},
		{"a command whose context has ended", true, s.signal(id, "note"), context.Canceled},
	} {
		done := make(chan error, 1)
		s.Bus.PublishCommand(maybeEnded(ctx, c.ended), c.command, func(_ workflow.Ack, err error) { done <- err })
		got, err := wait(ctx, done, "an answer to "+c.what)
		if err != nil {
			return err
		}
		if !errors.Is(got, c.want) {
			p.addf("%s: %v, want %v", c.what, got, c.want)
		}
		var why *events.Error
		if errors.Is(c.want, workflow.ErrRejected) && (!errors.As(got, &why) || why.Code == "") {
			p.addf("%s: %v does not say why", c.what, got)
		}
	}
	return p.err()
}

func duplicatesRecognised(ctx context.Context, s WorkflowSetup) error {
	const n = 8
	start := s.start(newID())
	if _, err := s.ask(ctx, start); err != nil {
		return err
	}
	keyed := s.signal(start.InstanceID, "note")
	keyed.IdempotencyKey = newName("once")
	acks := newCollector[workflow.Ack]()
	for range n {
		again := keyed
		again.CommandID = newID()
		go s.Bus.PublishCommand(ctx, again, func(ack workflow.Ack, err error) {
			if err == nil {
				acks.add(ack)
			}
		})
	}
	all, err := acks.count(ctx, n)
	if err != nil {
		return fmt.Errorf("one idempotency key, published %d times at once: %w", n, err)
	}
	p := s.oneDecided(all, start.InstanceID, 3)
	// The same command again, and another start of the same instance.
	for _, again := range []events.Command{start, s.start(start.InstanceID)} {
		ack, err := s.ask(ctx, again)
		if err != nil || ack.Status != events.OutcomeDuplicate || ack.SequenceNumber != 1 {
			p.addf("a start again: %+v, %v", ack, err)
		}
	}
	history, err := s.Bus.ReplayEvents(ctx, s.Type, start.InstanceID, 1)
	if err != nil || len(history) != 3 {
		p.addf("the history has %d events (%v), want 3", len(history), err)
	}
	return p.err()
}

// oneDecided wants one decision among acks, and duplicates that name its event.
func (s WorkflowSetup) oneDecided(acks []workflow.Ack, id events.UUID, sequence int64) (p problems) {
	decided := 0
	for _, ack := range acks {
		switch {
		case ack.Status == "":
			decided++
		case ack.Status != events.OutcomeDuplicate:
			p.addf("status %q", ack.Status)
		}
		if ack.SequenceNumber != sequence || ack.EventID != events.EventID(s.Type, id, sequence) {
			p.addf("acknowledged with event %d, want %d", ack.SequenceNumber, sequence)
		}
	}
	if decided != 1 {
		p.addf("%d of %d were decided, want 1", decided, len(acks))
	}
	return p
}

func expectedSequence(ctx context.Context, s WorkflowSetup) error {
	id, two := newID(), int64(2)
	if _, err := s.ask(ctx, s.start(id)); err != nil {
		return err
	}
	const n = 4
	answers := newCollector[error]()
	for range n {
		c := s.signal(id, "note")
		c.ExpectedSequence = &two
		go s.Bus.PublishCommand(ctx, c, func(_ workflow.Ack, err error) { answers.add(err) })
	}
	all, err := answers.count(ctx, n)
	if err != nil {
		return err
	}
	accepted := 0
	for _, err := range all {
		switch {
		case err == nil:
			accepted++
		case !errors.Is(err, workflow.ErrConflict):
			return fmt.Errorf("got %w, want %w", err, workflow.ErrConflict)
		}
	}
	if accepted != 1 {
		return fmt.Errorf("%d of %d commands with one expected sequence were accepted", accepted, n)
	}
	return nil
}

func snapshotsReflect(ctx context.Context, s WorkflowSetup) error {
	var p problems
	id := newID()
	for _, c := range []struct {
		workflowType string
		id           events.UUID
		want         error
	}{
		{s.Type, id, workflow.ErrNotFound}, {unknownType, id, workflow.ErrUnknownType}, {s.Type, events.Nil, workflow.ErrInvalid},
	} {
		if _, err := s.Snapshots.LoadSnapshot(ctx, c.workflowType, c.id); !errors.Is(err, c.want) {
			p.addf("instance %s of %s: %v, want %v", c.id, c.workflowType, err, c.want)
		}
	}
	for _, step := range []struct {
		command  events.Command
		sequence int64
		state    events.WorkflowState
	}{
		{s.start(id), 2, events.WorkflowRunning},
		{s.signal(id, "note"), 3, events.WorkflowRunning},
		{s.signal(id, "close"), 5, events.WorkflowCompleted},
	} {
		if _, err := s.ask(ctx, step.command); err != nil {
			return err
		}
		got, err := s.Snapshots.LoadSnapshot(ctx, s.Type, id)
		if err != nil {
			return err
		}
		if got.InstanceID != id || got.WorkflowType != s.Type || got.SequenceNumber != step.sequence || got.State != step.state {
			p.addf("%s %s is %s at %d, want %s at %d", got.WorkflowType, got.InstanceID, got.State, got.SequenceNumber, step.state, step.sequence)
		}
	}
	return p.err()
}
