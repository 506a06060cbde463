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

// DataUnwritten marks an error.occurred whose input could not be decided for
// what would have to be written, and not for what the definition says.
const DataUnwritten = "unwritten"

func (f *Fact) noteUnwritten(e *events.Event) {
	if e.EventType == events.EventErrorOccurred && e.Data[DataUnwritten].Bool() {
		f.Unwritten = &events.Error{Code: e.Data["error_code"].Str(), Message: e.Data["error_message"].Str()}
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
	f := Fact{
		Sequence: e.SequenceNumber, Count: 1, Now: e.Timestamp, Source: e.Source,
		Version: int32(e.Metadata[events.MetadataVersion].Int()), //nolint:gosec // versions are int32
	}
	if id := e.Metadata[events.MetadataTimer]; id.Kind() != events.KindNone {
		due, err := time.Parse(time.RFC3339Nano, e.Metadata[events.MetadataTimerDue].Str())
		f.Timer = &Timer{ID: id.Int(), Due: due}
		return f, err
	}
	c := &events.Command{
		WorkflowType: e.WorkflowType, InstanceID: e.InstanceID, CausationID: e.CausationID, CorrelationChain: e.CorrelationChain, Timestamp: e.Timestamp,
		Priority: events.PriorityNormal, Source: e.Source,
	}
	f.Command = c
	id, err := events.ParseUUID(e.Metadata[events.MetadataCommandID].Str())
	if err != nil {
		return f, fmt.Errorf("it names neither a command nor a timer: %w", err)
	}
	c.CommandID = id
	if kind := e.Metadata[events.MetadataCommand]; kind.Kind() != events.KindNone {
		c.Command = events.CommandType(kind.Str())
		c.Skip = e.Metadata[events.MetadataSkip].Bool()
		c.Reason, c.Source = e.Metadata[events.MetadataReason].Str(), e.Metadata[events.MetadataRequestedBy].Str()
		return f, readAsked(&f, e)
	}
	return f, readCommand(&f, e)
}

// Data of events that say more of what was asked for.
const (
	DataResetTo      = "reset_to"      // of workflow.retrying: the sequence that the instance goes back to
	DataMigratedFrom = "migrated_from" // of state.transitioned: the version that it leaves,
	DataMigratedTo   = "migrated_to"   // and the one that it goes on under
)

// readAsked fills what a person asked for.
func readAsked(f *Fact, e *events.Event) error {
	c := f.Command
	switch c.Command {
	case events.CommandReset:
		f.ResetTo = e.Data[DataResetTo].Int()
	case events.CommandMigrate:
		c.Version, c.Payload = int32(e.Data[DataMigratedTo].Int()), e.Payload //nolint:gosec // versions are int32
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
		c.Command, c.Payload, c.Key, c.CorrelationID = events.CommandStart, e.Payload, e.Data["key"].Str(), e.CorrelationID
		c.Version, c.Priority = f.Version, events.TaskPriority(e.Data["priority"].Str())
		return readParent(c, e)
	case events.EventTaskStarted:
		c.Command = events.CommandClaim
		return readReport(c, e)
	case events.EventTaskCompleted:
		c.Command, c.Payload = events.CommandResult, e.Payload
		return readReport(c, e)
	case events.EventTaskFailed, events.EventTaskRetry:
		c.Command = events.CommandResult
		if err := readReport(c, e); err != nil {
			return err
		}
		c.Result.State = events.TaskFailed
		c.Result.Error = &events.Error{
			Code: e.Data["error_code"].Str(), Message: e.Data["error_message"].Str(),
			Retryable: e.EventType == events.EventTaskRetry || e.Data[DataRetryable].Bool(),
		}
		c.Result.RetryAfter = time.Duration(e.Data[DataRetryAfter].Int()) * time.Millisecond
	case events.EventStateTransitioned:
		c.Command, c.Event, c.Payload = events.CommandSignal, e.Data["event"].Str(), e.Payload
	case events.EventErrorOccurred:
		return readParked(c, e)
	default:
		return errors.New("it is not known what leads to it")
	}
	return nil
}

func readReport(c *events.Command, e *events.Event) error {
	id, err := events.ParseUUID(e.Data["task_id"].Str())
	if err != nil {
		return fmt.Errorf("task_id: %w", err)
	}
	c.Result = &events.TaskResult{
		TaskID: id, Attempt: int32(e.Data["attempt"].Int()), NodeID: e.Data["node_id"].Str(), //nolint:gosec // attempts are int32
	}
	if c.Command == events.CommandResult {
		c.Result.State = events.TaskCompleted
	}
	return nil
}

// DataParked is where error.occurred keeps the command that led to it, without
// its payload, which is the event's own. DataRetryable is what task.failed says
// of an error that another attempt could have mended, DataRetryAfter how long the
// executor asked to wait with that.
const (
	DataParked     = "input"
	DataRetryable  = "error_retryable"
	DataRetryAfter = "retry_after_ms"
)

// parked is the part of a command that a decision depends on.
type parked struct {
	Command events.CommandType `json:"command"`
	Event   string             `json:"event,omitempty"`
	Result  *events.TaskResult `json:"result,omitempty"`
}

// Parked is the command that led to an incident, for error.occurred.
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
	var kept parked
	if err := json.Unmarshal([]byte(e.Data[DataParked].Str()), &kept); err != nil {
		return fmt.Errorf("%s: %w", DataParked, err)
	}
	c.Command, c.Event, c.Result, c.Payload = kept.Command, kept.Event, kept.Result, e.Payload
	return nil
}
