package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 64 << 20

// call asks the projector and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, header http.Header, in, out any) error {
	response, err := c.open(ctx, method, path, query, header, in)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(out); err != nil {
		if ctx.Err() != nil {
			return failed("read the projector's answer", ctx.Err())
		}
		return newError(ErrAnswer, err, "the answer of %s cannot be read: %v", c.config.API+path, err)
	}
	return nil
}

// open asks the projector; a problem that it answers with is the error.
func (c *Client) open(ctx context.Context, method, path string, query url.Values, header http.Header, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		text, err := events.EncodeJSON(in)
		if err != nil {
			return nil, invalid(err)
		}
		body = bytes.NewReader(text)
	}
	target := c.config.API + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, invalid(fmt.Errorf("the projector's address is wrong: %w", err))
	}
	maps.Copy(request.Header, header)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.config.HTTP.Do(request)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, failed("ask the projector at "+c.config.API, ctx.Err())
	case err != nil:
		return nil, newError(ErrProjector, err, "the projector at %s does not answer: %v", c.config.API, errors.Unwrap(err))
	case response.StatusCode >= http.StatusBadRequest:
		defer func() { _ = response.Body.Close() }()
		return nil, problemOf(response)
	}
	return response, nil
}

// problemOf reads an RFC 9457 problem.
func problemOf(response *http.Response) error {
	var p struct{ Title, Detail, Code, Fix string }
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if json.Unmarshal(text, &p) != nil || p.Code == "" {
		of := ErrAnswer
		if response.StatusCode >= http.StatusInternalServerError {
			of = ErrProjector
		}
		return newError(of, nil, "the projector answered %s", response.Status)
	}
	message := p.Title
	if p.Detail != "" {
		message += ": " + p.Detail
	}
	return &Error{Code: p.Code, Message: message, Fix: p.Fix}
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
	err = c.call(ctx, http.MethodGet, instancePath(workflowType, idOrKey), query, nil, nil, &s)
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
	err = c.call(ctx, http.MethodGet, "/api/v1/instances", query, nil, nil, &page)
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
		if err := c.call(ctx, http.MethodGet, instancePath(workflowType, idOrKey)+"/history", query, nil, nil, &page); err != nil {
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
	err = c.call(ctx, http.MethodGet, "/api/v1/types/"+url.PathEscape(workflowType)+"/counts", query, nil, nil, &n)
	return n, err
}

func (c *Client) definitionsAPI(ctx context.Context) ([]events.DefinitionRecord, error) {
	var page struct {
		Items []events.DefinitionRecord `json:"items"`
	}
	err := c.call(ctx, http.MethodGet, "/api/v1/definitions", nil, nil, nil, &page)
	return page.Items, err
}

// sendAPI lets the projector make a command durable, for a client without Kafka.
func (c *Client) sendAPI(ctx context.Context, r Request) (Receipt, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	command, err := r.command(c.config.Source, time.Now())
	if err != nil {
		return Receipt{}, invalid(err)
	}
	call, err := r.call(command)
	if err != nil {
		return Receipt{}, invalid(err)
	}
	header := http.Header{}
	if command.IdempotencyKey != "" {
		header.Set("Idempotency-Key", command.IdempotencyKey)
	}
	receipt := Receipt{Type: command.WorkflowType, At: command.Timestamp}
	err = c.call(ctx, http.MethodPost, "/api/v1/instances/"+url.PathEscape(command.WorkflowType)+call.path, nil, header, call.body, &receipt)
	return receipt, err
}
