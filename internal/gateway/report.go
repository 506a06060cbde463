package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/rest"
	"github.com/leat-io/leat/pkg/events"
)

func (g *Gateway) heartbeat(_ context.Context, in *heartbeatInput) (*heartbeatOutput, error) {
	h, err := g.leases.find(in.Queue, in.Body.Lease)
	if err != nil {
		return nil, g.refused(err)
	}
	details := in.Body.Details
	if len(details) > executor.MaxDetails {
		return nil, g.refused(rest.BadRequest("The details of the heartbeat are too large",
			fmt.Errorf("they are %d bytes of JSON, at most %d: keep large content elsewhere, and a reference in the details", len(details), executor.MaxDetails)))
	}
	if err := h.lease.Heartbeat(bytes.Clone(details)); err != nil {
		return nil, g.refused(overBecause(err))
	}
	out := &heartbeatOutput{}
	out.Body.HeartbeatTimeout = h.lease.HeartbeatTimeout().Milliseconds()
	return out, nil
}

func (g *Gateway) complete(ctx context.Context, in *completeInput) (*reportOutput, error) {
	h, err := g.leases.find(in.Queue, in.Body.Lease)
	if err != nil {
		return nil, g.refused(err)
	}
	result := in.Body.Result
	out, err := g.report(ctx, h, "complete", func() (error, error) {
		if tooLarge := checkResult(result); tooLarge != nil {
			return h.lease.Fail(&events.Error{Code: executor.CodeResult, Message: tooLarge.Error()}), tooLarge
		}
		return h.lease.Complete(bytes.Clone(result)), nil
	})
	return out, g.refused(err)
}

// checkResult refuses what does not fit into a report. The task has failed then,
// as it has with any executor: the same attempt would come to the same result.
func checkResult(result []byte) error {
	if len(result) <= events.MaxPayloadLength {
		return nil
	}
	return fmt.Errorf("the result is %d bytes, at most %d: keep large content elsewhere and return a reference", len(result), events.MaxPayloadLength)
}

func (g *Gateway) fail(ctx context.Context, in *failInput) (*reportOutput, error) {
	h, err := g.leases.find(in.Queue, in.Body.Lease)
	if err != nil {
		return nil, g.refused(err)
	}
	failure := &events.Error{Code: in.Body.Code, Message: in.Body.Message, Retryable: in.Body.Retryable == nil || *in.Body.Retryable}
	if failure.Code == "" {
		failure.Code = executor.CodeFailed
	}
	if err := failure.Validate(); err != nil {
		return nil, g.refused(rest.BadRequest("The failure cannot be recorded as it is", err))
	}
	out, err := g.report(ctx, h, "fail", func() (error, error) {
		return h.lease.Fail(executor.RetryAfter(failure, time.Duration(in.Body.RetryAfter)*time.Millisecond)), nil
	})
	return out, g.refused(err)
}

// report gives an attempt its end, once, and waits until that is durable. say
// returns why the lease was over, and why the report is another one than asked.
func (g *Gateway) report(ctx context.Context, h *held, kind string, say func() (over, reason error)) (*reportOutput, error) {
	if err := h.say(kind, say); err != nil {
		return nil, err
	}
	timer := time.NewTimer(g.config.durableWithin)
	defer timer.Stop()
	select {
	case <-h.lease.Reported():
	case <-timer.C:
		return nil, h.notDurable("Kafka has not taken it yet; the gateway goes on trying")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := h.lease.Err(); err != nil {
		return nil, h.notDurable(err.Error())
	}
	t := h.lease.Task()
	out := &reportOutput{Body: Reported{TaskID: t.TaskID, Attempt: t.Attempt, State: events.TaskCompleted}}
	if kind == "fail" {
		out.Body.State = events.TaskFailed
	}
	if h.reason != nil { // set before the report was
		return nil, rest.New(http.StatusUnprocessableEntity, problem.ResultRefused, "The result cannot be recorded; the task has failed with "+executor.CodeResult,
			h.reason.Error(), "")
	}
	return out, nil
}

// say ends the lease. To repeat what was said is no error.
func (h *held) say(kind string, say func() (over, reason error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.report == kind {
		return nil
	}
	if h.report != "" {
		return over("the attempt has been reported: " + h.report)
	}
	why, reason := say()
	if why != nil {
		return overBecause(why)
	}
	h.report, h.reason = kind, reason
	return nil
}

func (h *held) notDurable(why string) error {
	return rest.New(http.StatusServiceUnavailable, problem.KafkaAway, "The report is not durable yet", why, "repeat the request; if the gateway stops meanwhile, the task is issued again")
}
