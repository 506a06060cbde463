package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// LifeRequest changes where an instance stands in its life. Type, Command and
// one of Key and InstanceID are required.
type LifeRequest struct {
	Type       string
	Key        string // business key of the instance, or
	InstanceID events.UUID
	// Command is pause, resume, cancel, terminate or retry.
	Command        events.CommandType
	Reason         string      // why, for the history and the audit
	Skip           bool        // retry of an incident: drop what led to it instead of deciding it again
	IdempotencyKey string      // the same request again is a duplicate
	CommandID      events.UUID // default: new, or derived from IdempotencyKey
	// ExpectedSequence refuses the request as a conflict unless the instance's
	// newest event has this sequence; nil does not care.
	ExpectedSequence *int64
	Metadata         map[string]events.ContextValue
}

// LifeCommands lists what a [LifeRequest] can ask.
func LifeCommands() []events.CommandType {
	return []events.CommandType{
		events.CommandPause, events.CommandResume, events.CommandCancel, events.CommandTerminate, events.CommandRetry,
	}
}

func (r LifeRequest) command(source string, now time.Time) (*events.Command, error) {
	switch {
	case !slices.Contains(LifeCommands(), r.Command):
		return nil, fmt.Errorf("%q is none of %v", r.Command, LifeCommands())
	case r.Key == "" && r.InstanceID.IsNil():
		return nil, errors.New("a Key or an InstanceID has to say which instance is meant")
	case r.Skip && r.Command != events.CommandRetry:
		return nil, fmt.Errorf("the field Skip is for retry, not for %s", r.Command)
	}
	return complete(&events.Command{
		Command: r.Command, WorkflowType: r.Type, Key: r.Key, InstanceID: r.InstanceID, Reason: r.Reason, Skip: r.Skip,
		IdempotencyKey: r.IdempotencyKey, CommandID: r.CommandID, ExpectedSequence: r.ExpectedSequence, Metadata: r.Metadata,
	}, source, now)
}
