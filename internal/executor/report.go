package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// reporter writes what becomes of tasks to the commands topics. Safe for
// concurrent use.
type reporter struct {
	config   Config
	producer *kafka.Producer
	life     context.Context //nolint:containedctx // ends when the executor stops trying to write
}

// bounds of trying again to write a report. After giveUp the router's timers have
// long decided without it, and the slot is worth more.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	giveUp     = 10 * time.Minute
)

// errGivenUp says that a report was never written.
var errGivenUp = errors.New("report could not be written")

// command is what all reports of an attempt share. The id of a claim and of a
// result is derived, so that a repeated attempt says the same thing, once; a
// heartbeat has none, so that the instance need not remember it.
func (r *reporter) command(t *events.Task, kind events.CommandType) *events.Command {
	c := &events.Command{
		Command: kind, WorkflowType: t.WorkflowType, InstanceID: t.InstanceID, CorrelationID: t.CorrelationID,
		CausationID: t.CausationID, Source: events.Cut(r.config.NodeID, events.MaxNameLength), Timestamp: events.Instant(time.Now()),
		Result: &events.TaskResult{TaskID: t.TaskID, Attempt: t.Attempt, NodeID: r.config.NodeID, Token: t.Token},
	}
	if kind != events.CommandHeartbeat {
		name := string(kind) + "/" + strconv.Itoa(int(t.Attempt))
		if t.Token != "" {
			name += "/" + events.HashToken(t.Token) // an attempt that goes on reports more than once
		}
		c.CommandID = events.DeriveUUID(t.TaskID, name)
	}
	return c
}

// result reports how an attempt is over. What cannot be written becomes a failure.
func (r *reporter) result(t *events.Task, n ending, ran time.Duration) *kafka.Record {
	c := r.command(t, events.CommandResult)
	c.Result.State, c.Result.ExecutionTime = n.state(), max(ran.Truncate(time.Millisecond), 0)
	switch {
	case n.failure != nil:
		c.Result.Error, c.Result.RetryAfter, c.Result.HeartbeatDetails = n.failure.Error, n.failure.after, n.failure.details
	case n.down != nil:
		c.Payload, c.Result.ResumeAfter, c.Result.Questions = n.down.state, n.down.after, n.down.questions
	case n.back != nil:
		c.Result.HandedBack, c.Result.ResumeAfter = true, n.back.after
		c.Result.Error = legal(&events.Error{Code: n.back.code, Message: n.back.message})
	default:
		c.Payload = n.value
	}
	record, err := r.record(c)
	switch {
	case err == nil || n.failure != nil:
		return record
	case n.down != nil:
		return r.result(t, ending{failure: &failed{Error: legal(&events.Error{Code: CodeResult, Message: "what the attempt was to go on with cannot be written: " + err.Error()})}}, ran)
	}
	return r.result(t, ending{failure: &failed{Error: legal(unwritable(t, n.value, err))}}, ran)
}

// unwritable says why a result cannot be written.
func unwritable(t *events.Task, value json.RawMessage, err error) *events.Error {
	message := "the handler's result cannot be written: " + err.Error()
	if n := len(value); n > events.MaxPayloadLength {
		message = fmt.Sprintf("the result of %s is %d bytes of JSON, at most %d (%d KiB): keep what is large elsewhere and return a reference",
			t.TaskName, n, events.MaxPayloadLength, events.MaxPayloadLength>>10)
	}
	return &events.Error{Code: CodeResult, Message: message}
}

func (r *reporter) record(c *events.Command) (*kafka.Record, error) {
	value, err := avro.EncodeCommand(c)
	if err != nil {
		return nil, fmt.Errorf("report %s of task %s: %w", c.Command, c.Result.TaskID, err)
	}
	record := kafka.NewRecord(r.config.Names.Commands(c.WorkflowType), []byte(c.InstanceID.String()), value)
	record.Headers = []kafka.Header{{Key: "content-type", Value: []byte(avro.ContentType)}}
	return record, nil
}

// write writes a report and waits until it is durable, trying again as long as
// the executor lives and wanted is open.
func (r *reporter) write(t *events.Task, record *kafka.Record, wanted <-chan struct{}) error {
	if record == nil {
		return errGivenUp
	}
	began := time.Now()
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		again := *record // the client keeps what it was given
		err := r.producer.Send(r.life, &again)
		if err == nil {
			return nil
		}
		if r.life.Err() != nil || time.Since(began) > giveUp {
			r.config.Logger.Error("report is lost; the router's timers decide", taskAttrs(t, slog.Any("error", err))...)
			return fmt.Errorf("%w: %w", errGivenUp, err)
		}
		r.config.Logger.Warn("report could not be written and is tried again", taskAttrs(t, slog.Any("error", err))...)
		if r.config.Metrics.ReportFailed != nil {
			r.config.Metrics.ReportFailed(t.Queue)
		}
		select {
		case <-r.life.Done():
		case <-wanted:
			return errGivenUp
		case <-time.After(delay):
		}
	}
}

// taskAttrs names a task in the log.
func taskAttrs(t *events.Task, more ...any) []any {
	return append([]any{
		slog.String("task", t.TaskName), slog.String("task_id", t.TaskID.String()), slog.Int("attempt", int(t.Attempt)),
		slog.String("workflow_type", t.WorkflowType), slog.String("instance_id", t.InstanceID.String()),
	}, more...)
}
