// Package facts reads out of a history what came in: the inputs that were decided
// on, so that they can be decided again. It decides nothing and reads no topic.
package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Fact is one input that a history records: what was decided on, when, and under
// which version. A decision's first event says what its input was, so that a
// history can be decided again; see [Read] for how.
type Fact struct {
	Sequence int64           `json:"sequence"` // of the first event that it led to
	Count    int             `json:"count"`    // of the events that it led to
	Now      time.Time       `json:"now"`
	Version  int32           `json:"version"`
	Source   string          `json:"source,omitempty"`
	Command  *events.Command `json:"command,omitempty"`
	Timer    *Timer          `json:"timer,omitempty"` // instead of a command
	ResetTo  int64           `json:"reset_to,omitempty"`
	// Unwritten is what kept the decision from being written: the input became an
	// incident, whatever it would lead to.
	Unwritten *events.Error `json:"unwritten,omitempty"`
}

// Timer is a fired timer as the events of its decision name it.
type Timer struct {
	ID  int64     `json:"id"`
	Due time.Time `json:"due"`
}

// Read reads the inputs out of a history, which begins with its first event.
//
// Events of one decision name the same command or the same timer. What came in
// follows from the first of them: workflow.created is a start, task.started a
// claim, task.completed, task.failed and task.retry a result, state.transitioned
// a signal; of what a person asked for, the metadata say it. What leaves no event (heartbeats
// and their details, ignored signals) changes nothing that a decision depends on, but for the due
// time of a heartbeat's timer, which the timer's decision records.
func Read(history []events.Event) ([]Fact, error) {
	var list []Fact
	for i := range history {
		e := &history[i]
		if want := int64(i + 1); e.SequenceNumber != want {
			return nil, fmt.Errorf("the history has sequence %d where %d is expected: it has to be complete, from the first event on", e.SequenceNumber, want)
		}
		if i > 0 && sameDecision(&history[i-1], e) {
			list[len(list)-1].Count++
			list[len(list)-1].noteUnwritten(e)
			if err := list[len(list)-1].noteQuestion(e); err != nil {
				return nil, fmt.Errorf("event %d (%s): %w", e.SequenceNumber, e.EventType, err)
			}
			continue
		}
		f, err := readFact(e)
		if err != nil {
			return nil, fmt.Errorf("event %d (%s): %w", e.SequenceNumber, e.EventType, err)
		}
		f.noteUnwritten(e)
		list = append(list, f)
	}
	return list, nil
}

// noteUnwritten notes that the input of an error.occurred could not be decided for
// what would have to be written, and not for what the definition says.
func (f *Fact) noteUnwritten(e *events.Event) {
	if e.EventType != events.EventErrorOccurred {
		return
	}
	var d events.ErrorOccurredData
	if err := events.DecodeData(e.Data, &d); err == nil && d.Unwritten {
		f.Unwritten = &events.Error{Code: d.Code, Message: d.Message}
	}
}

// sameDecision reports whether b is of the decision that a is of. An incident is
// the last event of its decision: what the same input leads to later is another.
func sameDecision(a, b *events.Event) bool {
	return a.EventType != events.EventErrorOccurred &&
		a.Metadata[events.MetadataCommandID].Equal(b.Metadata[events.MetadataCommandID]) &&
		a.Metadata[events.MetadataTimer].Equal(b.Metadata[events.MetadataTimer])
}

func readFact(e *events.Event) (Fact, error) {
	var meta events.EventMetadata
	if err := events.DecodeData(e.Metadata, &meta); err != nil {
		return Fact{}, fmt.Errorf("its metadata: %w", err)
	}
	f := Fact{Sequence: e.SequenceNumber, Count: 1, Now: e.Timestamp, Source: e.Source, Version: meta.Version}
	if meta.Timer != nil {
		f.Timer = &Timer{ID: meta.Timer.ID, Due: meta.Timer.Due}
		return f, nil
	}
	c := &events.Command{
		WorkflowType: e.WorkflowType, InstanceID: e.InstanceID, CausationID: e.CausationID, CorrelationChain: e.CorrelationChain, Timestamp: e.Timestamp,
		Priority: events.PriorityNormal, Source: e.Source,
	}
	f.Command = c
	if meta.CommandID.IsNil() {
		return f, errors.New("it names neither a command nor a timer")
	}
	c.CommandID = meta.CommandID
	if meta.Command != "" {
		c.Command, c.Skip, c.Reason, c.Source = meta.Command, meta.Skip, meta.Reason, meta.RequestedBy
		return f, readAsked(&f, e)
	}
	return f, readCommand(&f, e)
}

// readAsked fills what a person asked for.
func readAsked(f *Fact, e *events.Event) error {
	c := f.Command
	switch c.Command {
	case events.CommandReset:
		var d events.ResetData
		err := events.DecodeData(e.Data, &d)
		f.ResetTo = d.To
		return err
	case events.CommandMigrate:
		var d events.MigrationData
		err := events.DecodeData(e.Data, &d)
		c.Version, c.Payload = d.To, e.Payload
		return err
	case events.CommandPause, events.CommandResume, events.CommandCancel, events.CommandTerminate, events.CommandRetry:
	default:
		return fmt.Errorf("%s is nothing that a person asks for", c.Command)
	}
	return nil
}

// AskedFor adds to the metadata what a person asked for, who and why: what
// follows from that does not tell.
func AskedFor(meta *events.EventMetadata, c *events.Command) {
	switch c.Command {
	case events.CommandStart, events.CommandSignal, events.CommandClaim, events.CommandHeartbeat, events.CommandResult:
		return
	default:
	}
	meta.Command, meta.Skip, meta.Reason, meta.RequestedBy = c.Command, c.Skip, c.Reason, c.Source
}

// readCommand fills the command that led to e, the first event of its decision.
func readCommand(f *Fact, e *events.Event) error {
	c := f.Command
	switch e.EventType {
	case events.EventWorkflowCreated:
		c.Command, c.Payload, c.CorrelationID, c.Version = events.CommandStart, e.Payload, e.CorrelationID, f.Version
		return readCreated(c, e)
	case events.EventTaskStarted:
		c.Command = events.CommandClaim
		return readClaim(c, e)
	case events.EventTaskCompleted:
		c.Command, c.Payload = events.CommandResult, e.Payload
		return readReport(c, e)
	case events.EventTaskFailed, events.EventTaskRetry:
		c.Command = events.CommandResult
		if err := readReport(c, e); err != nil {
			return err
		}
		return readFailure(c, e)
	case events.EventTaskScheduled:
		c.Command, c.Payload = events.CommandResult, e.Payload
		return readPutDown(c, e)
	case events.EventStateTransitioned:
		var d events.TransitionData
		err := events.DecodeData(e.Data, &d)
		c.Command, c.Event, c.Payload = events.CommandSignal, d.Event, e.Payload
		return err
	case events.EventErrorOccurred:
		return readParked(c, e)
	default:
		return errors.New("it is not known what leads to it")
	}
}

// readReport fills what all events of reports say of the attempt.
func readReport(c *events.Command, e *events.Event) error {
	var d events.TaskStartedData
	if err := events.DecodeData(e.Data, &d); err != nil {
		return err
	}
	if d.TaskID.IsNil() {
		return errors.New("it names no task")
	}
	c.Result = &events.TaskResult{TaskID: d.TaskID, Attempt: d.Attempt, NodeID: d.NodeID}
	if c.Command == events.CommandResult {
		c.Result.State = events.TaskCompleted
	}
	return nil
}

// readClaim fills a claim. That it replaced another one says all that a replay
// needs of the generations.
func readClaim(c *events.Command, e *events.Event) error {
	if err := readReport(c, e); err != nil {
		return err
	}
	var d events.TaskStartedData
	if err := events.DecodeData(e.Data, &d); err != nil {
		return err
	}
	if c.Result.Repeatable = d.Repeatable; d.TakenOver {
		c.Result.Generation = e.SequenceNumber
	}
	return nil
}

// readFailure fills a failure, which led to another attempt or to none.
func readFailure(c *events.Command, e *events.Event) error {
	var d events.TaskFailedData
	if err := events.DecodeData(e.Data, &d); err != nil {
		return err
	}
	c.Result.State, c.Result.RetryAfter = events.TaskFailed, d.RetryAfter
	c.Result.Error = &events.Error{Retryable: e.EventType == events.EventTaskRetry || d.Retryable}
	if d.Error != nil {
		c.Result.Error.Code, c.Result.Error.Message = d.Error.Code, d.Error.Message
	}
	return nil
}

// readPutDown fills what an attempt was put down or handed back with.
func readPutDown(c *events.Command, e *events.Event) error {
	if err := readReport(c, e); err != nil {
		return err
	}
	var d events.TaskScheduledData
	if err := events.DecodeData(e.Data, &d); err != nil {
		return err
	}
	if !d.PutDown && !d.HandedBack {
		return errors.New("it is not known what issued the attempt")
	}
	r := c.Result
	if r.State, r.HandedBack = d.State, d.HandedBack; r.HandedBack {
		r.State = events.TaskScheduled
	}
	if d.Error != nil {
		r.Error = &events.Error{Code: d.Error.Code, Message: d.Error.Message}
	}
	if !d.ResumeAt.IsZero() {
		r.ResumeAfter = d.ResumeAt.Sub(e.Timestamp)
	}
	return nil
}

// noteQuestion adds what an attempt that was put down asks, which the events behind
// it say.
func (f *Fact) noteQuestion(e *events.Event) error {
	if e.EventType != events.EventTaskScheduled || f.Command == nil || f.Command.Result == nil || !f.Command.Result.PutDown() {
		return nil
	}
	var d events.TaskScheduledData
	if err := events.DecodeData(e.Data, &d); err != nil || d.AskedBy != f.Command.Result.TaskID {
		return err
	}
	var q events.Question
	if err := json.Unmarshal(e.Payload, &q); err != nil {
		return fmt.Errorf("the question: %w", err)
	}
	q.ID = events.QuestionID(d.Invocation)
	f.Command.Result.Questions = append(f.Command.Result.Questions, q)
	return nil
}

// parked is the part of a command that a decision depends on.
type parked struct {
	Command events.CommandType `json:"command"`
	Event   string             `json:"event,omitempty"`
	Result  *events.TaskResult `json:"result,omitempty"`
}

// Parked is the command that led to an incident, for error.occurred. Its payload
// is the event's own.
func Parked(c *events.Command) string {
	result := c.Result
	if result != nil && result.HeartbeatDetails != nil { // a help for the next attempt that no decision depends on
		bare := *result
		bare.HeartbeatDetails, result = nil, &bare
	}
	text, err := events.EncodeJSON(parked{c.Command, c.Event, result})
	if err != nil {
		return string(c.Command)
	}
	return string(text)
}

func readParked(c *events.Command, e *events.Event) error {
	var d events.ErrorOccurredData
	if err := events.DecodeData(e.Data, &d); err != nil {
		return err
	}
	var kept parked
	if err := json.Unmarshal([]byte(d.Input), &kept); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	c.Command, c.Event, c.Result, c.Payload = kept.Command, kept.Event, kept.Result, e.Payload
	return nil
}
