package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/apicall"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// call asks the projector and reads the answer into out.
func (c *Client) call(ctx context.Context, r apicall.Request, out any) error {
	return c.answered(c.api.Call(ctx, r, out))
}

// answered is what becomes of an error of the projector or of the context.
func (c *Client) answered(err error) error {
	var p *apicall.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return &Error{Code: p.Code, Message: p.Error(), Fix: p.Fix}
	case errors.Is(err, apicall.ErrRequest):
		return invalid(err)
	case errors.Is(err, apicall.ErrAway):
		return newError(ErrProjector, err, "the projector: %v", err)
	case errors.Is(err, apicall.ErrAnswer):
		return newError(ErrAnswer, err, "the projector: %v", err)
	default:
		return failed("ask the projector", err)
	}
}

// instancePath is where the projector shows an instance. A key that would not
// stay one piece of a path on its way is named by the id that it has.
func instancePath(workflowType, name string) string {
	if name == "." || name == ".." || strings.ContainsAny(name, `/\%`) {
		name = events.Ref{ID: events.ParseRef(name).InstanceID(workflowType)}.String()
	}
	return "/api/v1/instances/" + url.PathEscape(workflowType) + "/" + url.PathEscape(name)
}

func (c *Client) getAPI(ctx context.Context, workflowType, idOrKey string, o GetOptions) (s Instance, err error) {
	query := url.Values{}
	if o.MinSequence > 0 {
		query.Set("min_sequence", strconv.FormatInt(o.MinSequence, 10))
		query.Set("wait", waitOf(ctx).String())
	}
	err = c.call(ctx, apicall.Request{Method: http.MethodGet, Path: instancePath(workflowType, idOrKey), Query: query}, &s)
	return s, err
}

// waitOf is how long the projector may wait, so that it answers before ctx ends.
func waitOf(ctx context.Context) time.Duration {
	const most = time.Minute
	deadline, ok := ctx.Deadline()
	if !ok {
		return most
	}
	left := time.Until(deadline)
	return min(max(left-left/10, 0), most).Truncate(time.Millisecond)
}

func (c *Client) listAPI(ctx context.Context, r ListRequest) (page Page, err error) {
	query := url.Values{"limit": {strconv.Itoa(r.Limit)}}
	for name, value := range map[string]string{
		"type": r.Type, "workflow_state": string(r.WorkflowState), "state": r.State, "cursor": r.Cursor,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(r.Where) > 0 {
		query["where"] = r.Where
	}
	err = c.call(ctx, apicall.Request{Method: http.MethodGet, Path: "/api/v1/instances", Query: query}, &page)
	return page, err
}

func (c *Client) historyAPI(ctx context.Context, workflowType, idOrKey string, r HistoryRequest) ([]events.Event, error) {
	list := []events.Event{}
	for from := r.From; from > 0; {
		limit := 1000
		if r.Limit > 0 {
			limit = min(limit, r.Limit-len(list))
		}
		var page struct {
			Items []events.Event `json:"items"`
			Next  int64          `json:"next"`
		}
		query := url.Values{"from": {strconv.FormatInt(from, 10)}, "limit": {strconv.Itoa(limit)}}
		if err := c.call(ctx, apicall.Request{Method: http.MethodGet, Path: instancePath(workflowType, idOrKey) + "/history", Query: query}, &page); err != nil {
			return nil, err
		}
		list, from = append(list, page.Items...), page.Next
		if r.Limit > 0 && len(list) >= r.Limit {
			break
		}
	}
	return list, nil
}

func (c *Client) countsAPI(ctx context.Context, workflowType string, where []string) (n Counts, err error) {
	query := url.Values{}
	if len(where) > 0 {
		query["where"] = where
	}
	err = c.call(ctx, apicall.Request{Method: http.MethodGet, Path: "/api/v1/types/" + url.PathEscape(workflowType) + "/counts", Query: query}, &n)
	return n, err
}

func (c *Client) definitionsAPI(ctx context.Context) ([]events.DefinitionRecord, error) {
	var page struct {
		Items []events.DefinitionRecord `json:"items"`
	}
	err := c.call(ctx, apicall.Request{Method: http.MethodGet, Path: "/api/v1/definitions"}, &page)
	return page.Items, err
}

// sendAPI lets the projector make a command durable, for a client without Kafka.
func (c *Client) sendAPI(ctx context.Context, r Request) (Receipt, error) {
	command, err := r.command(c.config.Source, time.Now())
	if err != nil {
		return Receipt{}, invalid(err)
	}
	call, err := r.call(command)
	if err != nil {
		return Receipt{}, invalid(err)
	}
	return c.post(ctx, command, call)
}

// commandsAtOnce is how many commands are on their way to a projector, each on a
// connection of its own. A projector takes 512 connections of one address and closes
// the next, and more at once would not be faster.
const commandsAtOnce = 128

// post sends a command as a call, in its turn.
func (c *Client) post(ctx context.Context, command *events.Command, call apiCall) (Receipt, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return Receipt{}, failed("ask the projector", ctx.Err())
	}
	header := http.Header{}
	if command.IdempotencyKey != "" {
		header.Set("Idempotency-Key", command.IdempotencyKey)
	}
	receipt := Receipt{Type: command.WorkflowType, At: command.Timestamp}
	err := c.call(ctx, apicall.Request{
		Method: http.MethodPost, Path: "/api/v1/instances/" + url.PathEscape(command.WorkflowType) + call.path, Header: header, Body: call.body,
	}, &receipt)
	return receipt, err
}

// apiCall is where a projector takes a request, behind the type's instances, and
// in what form.
type apiCall struct {
	path string
	body map[string]any
}

func (call *apiCall) set(name string, value any, given bool) {
	if given {
		call.body[name] = value
	}
}

// callOf is a call about the instance of a command.
func callOf(c *events.Command, what string) apiCall {
	return apiCall{path: "/" + events.Ref{ID: c.InstanceID}.String() + "/" + what, body: map[string]any{}}
}

func (r StartRequest) call(c *events.Command) (apiCall, error) {
	if r.ExpectedSequence != nil || len(r.Metadata) > 0 || r.Priority != "" || !r.CorrelationID.IsNil() || !r.CommandID.IsNil() {
		return apiCall{}, errors.New("a start with ExpectedSequence, Metadata, Priority, CorrelationID or CommandID needs Brokers")
	}
	call := apiCall{body: map[string]any{}}
	call.set("key", r.Key, r.Key != "")
	call.set("instance_id", r.InstanceID, !r.InstanceID.IsNil())
	call.set("version", r.Version, r.Version != 0)
	call.set("input", c.Payload, c.Payload != nil)
	return call, nil
}

func (r SignalRequest) call(c *events.Command) (apiCall, error) {
	if len(r.Metadata) > 0 || !r.CorrelationID.IsNil() || !r.CommandID.IsNil() {
		return apiCall{}, errors.New("a signal with Metadata, CorrelationID or CommandID needs Brokers")
	}
	call := callOf(c, "signals")
	call.body["event"] = r.Event
	call.set("data", c.Payload, c.Payload != nil)
	call.set("expected_sequence", r.ExpectedSequence, r.ExpectedSequence != nil)
	return call, nil
}

func (r LifeRequest) call(c *events.Command) (apiCall, error) {
	if len(r.Metadata) > 0 || !r.CommandID.IsNil() {
		return apiCall{}, errors.New("a change with Metadata or CommandID needs Brokers")
	}
	call := callOf(c, string(r.Command))
	call.set("reason", r.Reason, r.Reason != "")
	call.set("skip", r.Skip, r.Skip)
	call.set("expected_sequence", r.ExpectedSequence, r.ExpectedSequence != nil)
	return call, nil
}

func (ResetRequest) call(c *events.Command) (apiCall, error)   { return needsBrokers(c) }
func (MigrateRequest) call(c *events.Command) (apiCall, error) { return needsBrokers(c) }
func (TaskRequest) call(c *events.Command) (apiCall, error)    { return needsBrokers(c) }

func needsBrokers(c *events.Command) (apiCall, error) {
	return apiCall{}, fmt.Errorf("a %s needs Brokers", c.Command)
}

// streamBack is how long a follower waits before it comes back to a stream that
// broke, at first and at most.
const (
	streamBack     = 100 * time.Millisecond
	streamBackMost = 5 * time.Second
)

// followAPI reads the projector's live stream, and comes back when it breaks.
func (c *Client) followAPI(ctx context.Context, workflowType, idOrKey string, from int64, yield func(events.Event) bool) error {
	ctx, cancel := c.living(ctx)
	defer cancel()
	s := stream{client: c, path: instancePath(workflowType, idOrKey) + "/history/stream", next: from, yield: yield}
	for back := streamBack; ; back = min(2*back, streamBackMost) {
		before := s.next
		over, err := s.read(ctx)
		if over {
			return err
		}
		if ctx.Err() != nil {
			return failed("follow "+workflowType+" "+idOrKey, ctx.Err())
		}
		if s.next > before {
			back = streamBack
		} else if err != nil && before == from {
			return err // it never worked
		}
		kafka.Pause(ctx, back)
	}
}

// stream is a history that is being followed.
type stream struct {
	client *Client
	path   string
	next   int64 // sequence to ask for
	yield  func(events.Event) bool
}

// read follows until the instance is finished or the consumer leaves, which is
// over, or until the stream breaks.
func (s *stream) read(ctx context.Context) (over bool, err error) {
	query := url.Values{"from": {strconv.FormatInt(s.next, 10)}}
	response, err := s.client.api.Open(ctx, apicall.Request{
		Method: http.MethodGet, Path: s.path, Query: query, Header: http.Header{"Accept": {"text/event-stream"}},
	})
	if err != nil {
		return ctx.Err() != nil, s.client.answered(err)
	}
	defer func() { _ = response.Body.Close() }()
	over, err = apicall.Messages(response.Body, s.message)
	if !over && ctx.Err() != nil {
		return true, failed("follow the history", ctx.Err())
	}
	return over, err
}

func (s *stream) message(kind, data string) (over bool, err error) {
	switch {
	case kind == "end":
		return true, nil
	case kind != "" || data == "":
		return false, nil // an error that the stream ends with, or a comment
	}
	var e events.Event
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return true, newError(ErrAnswer, err, "an event of the stream cannot be read: %v", err)
	}
	if e.SequenceNumber < s.next || e.SequenceNumber == math.MaxInt64 {
		return false, nil
	}
	s.next = e.SequenceNumber + 1
	return !s.yield(e), nil
}
