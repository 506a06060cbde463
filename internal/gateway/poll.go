package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/rest"
	"github.com/leat-io/leat/pkg/events"
)

const (
	usualWait = 30 * time.Second
	maxWait   = 60 * time.Second
	// maxAnswer bounds the inputs in one answer, up to the one that reaches it.
	maxAnswer = 2 << 20
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// clientOf is an address without its port.
func clientOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// poll checks what can be answered at once, and then waits.
func (g *Gateway) poll(ctx context.Context, in *pollInput) (*huma.StreamResponse, error) {
	tasks, wait := 1, usualWait
	if in.Body != nil {
		tasks = cmp.Or(in.Body.MaxTasks, tasks)
		var err error
		if wait, err = waitOf(in.Body.Wait); err != nil {
			return nil, g.refused(rest.BadRequest("wait is not a duration that can be waited", err))
		}
	}
	if err := events.CheckQueue("queue", in.Queue); err != nil {
		return nil, g.refused(rest.BadRequest("The queue cannot be one", err))
	}
	if err := g.checkQueue(in.Queue); err != nil {
		return nil, g.refused(err)
	}
	client := clientFrom(ctx)
	if err := g.enter(client); err != nil {
		return nil, g.refused(err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer g.exit(client)
		request, writer := humago.Unwrap(ctx)
		g.answer(request.Context(), writer, in.Queue, tasks, wait)
	}}, nil
}

func waitOf(text string) (time.Duration, error) {
	if text == "" {
		return usualWait, nil
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q: want a duration such as 500ms or 30s", text)
	case d < 0 || d > maxWait:
		return 0, fmt.Errorf("%s is not between 0s and %s", d, maxWait)
	}
	return d, nil
}

// enter bounds the polls that wait.
func (g *Gateway) enter(client string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	const fix = "wait for an answer before the next poll, and take several tasks at once with max_tasks"
	switch {
	case g.polls[client] >= g.config.MaxClientPolls:
		return rest.New(http.StatusTooManyRequests, problem.TooManyPolls, "Too many polls wait",
			fmt.Sprintf("%d of this address wait, and no more may", g.config.MaxClientPolls), fix)
	case g.all >= g.config.MaxPolls:
		return rest.New(http.StatusServiceUnavailable, problem.TooManyPolls, "Too many polls wait",
			fmt.Sprintf("this gateway serves %d", g.config.MaxPolls), fix+", or poll another gateway")
	}
	g.polls[client]++
	g.all++
	g.config.Metrics.Polls(1)
	return nil
}

func (g *Gateway) exit(client string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.polls[client]--; g.polls[client] == 0 {
		delete(g.polls, client)
	}
	g.config.Metrics.Polls(-1)
}

// answer takes tasks and writes them. What a client that has gone cannot get goes
// back.
func (g *Gateway) answer(ctx context.Context, w http.ResponseWriter, queue string, tasks int, wait time.Duration) {
	polling, cancel := context.WithCancel(ctx)
	defer cancel()
	unhook := context.AfterFunc(g.polling, cancel)
	defer unhook()
	taken, err := g.take(polling, queue, tasks, wait)
	switch {
	case ctx.Err() != nil: // the client has gone
	case err != nil:
		var known *rest.Problem
		if !errors.As(g.refused(err), &known) {
			g.config.Logger.Error("poll failed", slog.String("queue", queue), slog.Any("error", err))
			known = rest.New(http.StatusInternalServerError, problem.Internal, "The request could not be answered", "see the gateway's log", "")
		}
		known.Write(w)
		return
	default:
		if err := write(w, taken); err == nil {
			return
		}
	}
	for _, h := range taken {
		h.lease.GiveBack()
	}
}

// take lends tasks and gives them tokens.
func (g *Gateway) take(ctx context.Context, name string, tasks int, wait time.Duration) ([]*held, error) {
	began := time.Now()
	q, err := g.join(ctx, name, wait)
	if err != nil {
		return nil, err
	}
	defer g.leave(q)
	leases := q.executor.Take(ctx, tasks, maxAnswer, wait-time.Since(began))
	if len(leases) == 0 && g.stopped() {
		return nil, g.away()
	}
	taken := make([]*held, 0, len(leases))
	for _, l := range leases {
		taken = append(taken, g.lend(q, l))
	}
	return taken, nil
}

// lend watches a lease until it is over.
func (g *Gateway) lend(q *queue, l *executor.Lease) *held {
	h := g.leases.add(q.name, l)
	g.mu.Lock()
	q.users++
	g.mu.Unlock()
	g.running.Go(func() {
		defer g.leave(q)
		<-l.Over() // at the latest when the executor has drained
		why := l.Why()
		if errors.Is(why, executor.ErrReported) {
			<-l.Reported()
		} else if !errors.Is(why, executor.ErrReturned) {
			g.config.Metrics.Expired(expiry(why))
			t := l.Task()
			g.config.Logger.Warn("a worker's lease is over", slog.String("task", t.TaskName), slog.String("task_id", t.TaskID.String()),
				slog.Int("attempt", int(t.Attempt)), slog.Any("why", why))
		}
		g.leases.end(h)
	})
	return h
}

func expiry(why error) string {
	switch {
	case errors.Is(why, executor.ErrSilent):
		return "silent"
	case errors.Is(why, executor.ErrOverdue):
		return "overdue"
	case errors.Is(why, executor.ErrCancelled):
		return "cancelled"
	default:
		return "drained"
	}
}

// write answers with tasks. The error means that the client may not have them.
func write(w http.ResponseWriter, taken []*held) error {
	out := Polled{Tasks: make([]Task, 0, len(taken))}
	for _, h := range taken {
		out.Tasks = append(out.Tasks, h.task())
	}
	text, err := events.EncodeJSON(out)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil // what is written counts as received: a client that has it all may be gone by now
}

// task is what a worker gets.
func (h *held) task() Task {
	t := h.lease.Task()
	input := t.Input
	if input == nil {
		input = json.RawMessage("null")
	}
	return Task{
		Lease: h.token, TaskID: t.TaskID, TaskName: t.TaskName, Attempt: t.Attempt, IdempotencyKey: t.IdempotencyKey, Input: input,
		WorkflowType: t.WorkflowType, InstanceID: t.InstanceID, InstanceKey: t.InstanceKey, Invocation: t.Invocation,
		Priority: t.Priority, Delivery: t.Delivery, ScheduledAt: t.ScheduledAt, CorrelationID: t.CorrelationID,
		HeartbeatDetails: t.HeartbeatDetails, HeartbeatTimeout: h.lease.HeartbeatTimeout().Milliseconds(), StartToClose: t.Timeouts.StartToClose.Milliseconds(),
	}
}
