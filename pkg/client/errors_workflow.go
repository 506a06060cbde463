package client

import (
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// WorkflowError says how an instance ended that did not complete.
type WorkflowError struct {
	Type       string
	InstanceID events.UUID
	State      events.WorkflowState // failed, cancelled, timeout or compensated
	Code       string               // what the definition, a task or the engine calls it; may be empty
	Message    string               // may be empty
}

// Error reads "order order-42 failed: CARD_DECLINED: the bank says no".
func (e *WorkflowError) Error() string {
	text := fmt.Sprintf("%s %s %s", e.Type, events.Ref{ID: e.InstanceID}, ends[e.State])
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Unwrap is an [Error] of the kind [ErrWorkflow].
func (e *WorkflowError) Unwrap() error { return newError(ErrWorkflow, nil, "%s", e.Error()) }

// ends says in a sentence how an instance ended.
var ends = map[events.WorkflowState]string{
	events.WorkflowFailed: "failed", events.WorkflowCancelled: "was cancelled", events.WorkflowTimeout: "timed out",
	events.WorkflowCompensated: "failed and was undone",
}

// failure is the error of a finished instance, nil if it completed.
func (r *Run) failure(s *Instance) error {
	if s.State == events.WorkflowCompleted {
		return nil
	}
	e := &WorkflowError{Type: r.receipt.Type, InstanceID: r.receipt.InstanceID, State: s.State}
	if s.Error != nil {
		e.Code, e.Message = s.Error.Code, s.Error.Message
	}
	return e
}
