package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// Error is every error of this package. Compare with errors.Is against the Err
// variables; errors.Is and errors.As also see the cause, context.Canceled for
// instance.
type Error struct {
	Code    string // stable, such as LEAT-W001
	Message string // what could not be done, and why
	Fix     string // what to do about it; may be empty
	Err     error  // the cause; may be nil
}

// Error is the message, with the fix if there is one.
func (e *Error) Error() string {
	if e.Fix == "" {
		return e.Message
	}
	return e.Message + " (" + e.Fix + ")"
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors of one code equal.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// What can go wrong, for errors.Is.
var (
	ErrNotFound    = kind(problem.InstanceMissing)    // there is no such instance
	ErrForgotten   = kind(problem.InstanceForgotten)  // it is finished and its retention is over; its history is still there
	ErrUnknownType = kind(problem.DefinitionMissing)  // no definition of that type, or version, is deployed
	ErrInvalid     = kind(problem.CommandInvalid)     // the request itself is wrong
	ErrRejected    = kind(problem.CommandRejected)    // the router refused the command
	ErrConflict    = kind(problem.CommandConflict)    // ExpectedSequence did not match
	ErrUnavailable = kind(problem.KafkaAway)          // Kafka did not answer; a command may or may not be durable
	ErrNoRouter    = kind(problem.RouterAway)         // no router answered; a command is durable and will be decided when one does
	ErrProjector   = kind(problem.ProjectorAway)      // the projector did not answer
	ErrAnswer      = kind(problem.BadAnswer)          // the projector answered what cannot be read
	ErrTimeout     = kind(problem.TimedOut)           // the context ended first
	ErrDefinition  = kind(problem.DefinitionInvalid)  // the definition does not validate
	ErrDeployed    = kind(problem.DefinitionConflict) // the version is deployed with other content
	ErrTopic       = kind(problem.TopicShape)         // a topic is not of the shape that Leat needs

	ErrWorkflow = kind(problem.WorkflowFailed) // the instance did not complete: what every *WorkflowError is
	ErrResult   = kind(problem.ResultMisfit)   // the result does not fit what it is read into

	ErrNoSchedule     = kind(problem.ScheduleMissing) // there is no such schedule
	ErrScheduleExists = kind(problem.ScheduleExists)  // there is one of that name already
	ErrSchedule       = kind(problem.ScheduleInvalid) // the schedule, or what it is asked for, cannot be
)

func kind(code problem.Code) *Error {
	return &Error{Code: string(code), Message: problem.Describe(code).Title}
}

// errClosed is the error of everything that is asked of a closed client.
func errClosed() error { return invalid(errors.New("the client is closed")) }

// newError is an error of a kind, with the kind's usual fix.
func newError(of *Error, cause error, format string, args ...any) *Error {
	return &Error{Code: of.Code, Message: fmt.Sprintf(format, args...), Fix: problem.Describe(problem.Code(of.Code)).Fix, Err: cause}
}

func invalid(err error) error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	return &Error{Code: ErrInvalid.Code, Message: err.Error(), Err: err}
}

// failed is what becomes of an error of Kafka or of the context.
func failed(what string, err error) error {
	var known *Error
	var shape *kafka.TopicError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.Canceled):
		return &Error{Code: ErrTimeout.Code, Message: what + ": cancelled", Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return newError(ErrTimeout, err, "%s: not done in time", what)
	case errors.As(err, &shape):
		return &Error{Code: ErrTopic.Code, Message: strings.ReplaceAll(err.Error(), "\n", "; "), Fix: shape.Fix, Err: err}
	default:
		return newError(ErrUnavailable, err, "%s: %s", what, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// explain turns the absence of a type's topics into the absence of the type.
func (c *Client) explain(ctx context.Context, workflowType string, err error) error {
	if err == nil || !kafka.NoTopic(err) {
		return err
	}
	return c.unknownType(ctx, workflowType, err)
}

// isDeployed reports whether a version of a type is known to be deployed.
func (c *Client) isDeployed(ctx context.Context, workflowType string) bool {
	records, err := c.Definitions(ctx)
	return err == nil && slices.ContainsFunc(records, func(r events.DefinitionRecord) bool { return r.WorkflowType == workflowType })
}

// How long a topic of a deployed type is waited for that is gone: a router looks
// every few seconds and makes it again.
const (
	remadeWithin = 15 * time.Second
	remadeEvery  = 300 * time.Millisecond
)

// whenRemade tries again what failed because a topic is not there, for as long as
// a router may take to make it.
func (c *Client) whenRemade(ctx context.Context, workflowType string, try func() error) error {
	err := try()
	if !kafka.NoTopic(err) || !c.isDeployed(ctx, workflowType) {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, remadeWithin)
	defer cancel()
	for kafka.NoTopic(err) && waiting.Err() == nil {
		kafka.Pause(waiting, remadeEvery)
		err = try()
	}
	return err
}

// unknownType names the types that there are.
func (c *Client) unknownType(ctx context.Context, workflowType string, cause error) error {
	deployed := "nothing is deployed"
	if cause != nil && c.isDeployed(ctx, workflowType) {
		return &Error{
			Code: ErrUnavailable.Code, Message: fmt.Sprintf("workflow type %q is deployed, and one of its topics is gone: %v", workflowType, cause),
			Fix: "a router that runs makes it again within seconds; its log says what was lost", Err: cause,
		}
	}
	if records, err := c.Definitions(ctx); err == nil && len(records) > 0 {
		var types []string
		for _, r := range records {
			types = append(types, r.WorkflowType)
		}
		slices.Sort(types)
		types = slices.Compact(types)
		deployed = "deployed: " + strings.Join(types, ", ")
		if near := problem.Suggest(workflowType, types); near != "" {
			deployed = "did you mean " + near + "? " + deployed
		}
	}
	return &Error{
		Code: ErrUnknownType.Code, Message: fmt.Sprintf("no definition of workflow type %q is deployed; %s", workflowType, deployed),
		Fix: "leat def deploy FILE", Err: cause,
	}
}

// unfinished is the error of a wait that ended before the instance s, nil for
// one that was never seen.
func unfinished(ctx context.Context, workflowType, name string, s *Instance) error {
	last := "it was never seen"
	if s != nil {
		last = fmt.Sprintf("it was %s in %s", s.State, strings.Join(s.Chart.Active, ", "))
	}
	return &Error{
		Code: ErrTimeout.Code, Message: fmt.Sprintf("%s %s is not finished; %s", workflowType, name, last), Err: ctx.Err(),
		Fix: fmt.Sprintf("leat history %s %s", workflowType, name),
	}
}

// refusal is what an outcome means for the one who asked; nil for a duplicate
// and for a signal that nothing reacts to.
func refusal(o *events.Outcome) error {
	if o == nil {
		return nil
	}
	why, code := "no reason was given", ""
	if o.Error != nil {
		why, code = o.Error.Message, o.Error.Code+": "
	}
	switch o.Status {
	case events.OutcomeConflict:
		return newError(ErrConflict, cause(o.Error), "the command conflicts: %s%s", code, why)
	case events.OutcomeRejected:
		return newError(ErrRejected, cause(o.Error), "the command was rejected: %s%s", code, why)
	default:
		return nil
	}
}

func cause(e *events.Error) error {
	if e == nil {
		return nil
	}
	return e
}

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
