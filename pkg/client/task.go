package client

import (
	"errors"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// TaskRequest is what a person says of a task that waits for one: that it is
// theirs now, or how it ended. Type, one of Key and InstanceID, TaskID, Attempt
// and By are required. Only one end of an attempt is accepted.
type TaskRequest struct {
	Type       string
	Key        string // business key of the instance, or
	InstanceID events.UUID
	TaskID     events.UUID
	Attempt    int32
	By         string        // who says so
	Claim      bool          // the task is theirs now; nobody else can end it
	Result     any           // of a task that is done: what encodes to JSON, json.RawMessage as it is
	Error      *events.Error // of one that failed
	CommandID  events.UUID   // default: new
}

func (r TaskRequest) command(source string, now time.Time) (*events.Command, error) {
	switch {
	case r.Key == "" && r.InstanceID.IsNil():
		return nil, errors.New("a task needs a Key or an InstanceID to say which instance is meant")
	case r.By == "":
		return nil, errors.New("the field By has to say who it is")
	}
	result, err := encodeValue("Result", r.Result)
	if err != nil {
		return nil, err
	}
	c := &events.Command{
		Command: events.CommandResult, WorkflowType: r.Type, Key: r.Key, InstanceID: r.InstanceID, CommandID: r.CommandID, Payload: result,
		Result: &events.TaskResult{TaskID: r.TaskID, Attempt: r.Attempt, NodeID: r.By, State: events.TaskCompleted},
	}
	switch {
	case r.Claim:
		c.Command, c.Payload, c.Result.State = events.CommandClaim, nil, ""
	case r.Error != nil:
		c.Payload, c.Result.State, c.Result.Error = nil, events.TaskFailed, r.Error
	}
	return complete(c, source, now)
}
