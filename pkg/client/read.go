package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/leat-io/leat/pkg/events"
)

// Instance is the state of an instance, after its newest event.
type Instance = events.Snapshot

// GetOptions tunes [Client.Get].
type GetOptions struct {
	// MinSequence waits until the answer reflects this sequence or a newer one:
	// read your writes. 0 takes what there is.
	MinSequence int64
	// Scan reads the instance's partition of the state topic from its beginning and
	// asks neither a projector nor a router: it takes longer the more there is.
	Scan bool
	// Progress, if it is not nil, is called now and then while the topic is read:
	// done of about total records.
	Progress func(done, total int64)
}

// Get reads the state of an instance. idOrKey is a business key, or an instance id as
// id:UUID; see [events.ParseRef]. A projector says how far it has read; without one
// the router that decides for the instance is asked, and its answer reflects every
// command that was durable before. The error is [ErrNotFound], [ErrForgotten],
// [ErrUnknownType], [ErrTimeout] when MinSequence is not reached in time,
// [ErrNoRouter], [ErrUnavailable] or [ErrProjector].
func (c *Client) Get(ctx context.Context, workflowType, idOrKey string, o GetOptions) (Instance, error) {
	if err := checkName(workflowType, idOrKey); err != nil {
		return Instance{}, err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	switch {
	case o.Scan:
		return c.getScan(ctx, workflowType, idOrKey, o)
	case c.config.API != "":
		return c.getAPI(ctx, workflowType, idOrKey, o)
	default:
		return c.getDirect(ctx, workflowType, idOrKey, o)
	}
}

// ListRequest says which instances, newest first.
type ListRequest struct {
	Type          string               // required without a projector
	WorkflowState events.WorkflowState // "" for any
	State         string               // of the chart, active; "" for any
	Where         []string             // conditions on data that the definition declares under search: "amount > 100"
	Limit         int                  // default 100, at most 1000
	Cursor        string               // NextCursor of the page before
}

// Page is some of the instances.
type Page struct {
	Items      []Instance `json:"items"`
	NextCursor string     `json:"next_cursor"` // "" on the last page
}

// List reads instances of a type. Errors are those of [Client.Get].
func (c *Client) List(ctx context.Context, r ListRequest) (Page, error) {
	if r.Limit <= 0 {
		r.Limit = 100
	}
	r.Limit = min(r.Limit, 1000)
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if c.config.API != "" {
		return c.listAPI(ctx, r)
	}
	if err := events.CheckWorkflowType("type", r.Type); err != nil {
		return Page{}, invalid(fmt.Errorf("%w: only a projector lists all types", err))
	}
	return c.listDirect(ctx, r)
}

// HistoryRequest says which part of a history.
type HistoryRequest struct {
	From  int64 // first sequence number; default 1
	Limit int   // how many events; default 0, all
}

// History reads the events of an instance in order. Errors are those of [Client.Get].
func (c *Client) History(ctx context.Context, workflowType, idOrKey string, r HistoryRequest) ([]events.Event, error) {
	if err := checkName(workflowType, idOrKey); err != nil {
		return nil, err
	}
	r.From = max(r.From, 1)
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if c.config.API != "" {
		return c.historyAPI(ctx, workflowType, idOrKey, r)
	}
	return c.historyDirect(ctx, workflowType, idOrKey, r)
}

// Follow yields the events of an instance from sequence number from on, those
// that are there and then those that come, until the instance is finished, ctx
// ends or the loop is left. An error is yielded once, last; the end of ctx is
// [ErrTimeout]. Without a projector it also waits for an instance that is not
// there yet.
func (c *Client) Follow(ctx context.Context, workflowType, idOrKey string, from int64) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		if err := checkName(workflowType, idOrKey); err != nil {
			yield(events.Event{}, err)
			return
		}
		follow := c.followDirect
		if c.config.API != "" {
			follow = c.followAPI
		}
		left := false
		err := follow(ctx, workflowType, idOrKey, max(from, 1), func(e events.Event) bool {
			left = !yield(e, nil)
			return !left
		})
		if err != nil && !left {
			yield(events.Event{}, err)
		}
	}
}

// Counts says how many instances of a type are in which state.
type Counts struct {
	Workflow  map[events.WorkflowState]int64 `json:"workflow_state"` // by workflow state
	State     map[string]int64               `json:"state"`          // by active state of the chart
	Instances int64                          `json:"instances"`
	Partial   bool                           `json:"partial,omitempty"` // there are more than conditions are checked for
}

// Counts counts the instances of a type that satisfy all conditions, which are
// those of [ListRequest]. Errors are those of [Client.Get].
func (c *Client) Counts(ctx context.Context, workflowType string, where ...string) (Counts, error) {
	if err := events.CheckWorkflowType("type", workflowType); err != nil {
		return Counts{}, invalid(err)
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if c.config.API != "" {
		return c.countsAPI(ctx, workflowType, where)
	}
	return c.countsDirect(ctx, workflowType, where)
}

// candidates are the instances that a name may mean, the likeliest first. A bare
// UUID is a key, and where no instance has that key, the id that it looks like.
func candidates(workflowType, name string) []events.UUID {
	ref := events.ParseRef(name)
	ids := []events.UUID{ref.InstanceID(workflowType)}
	if id, err := events.ParseUUID(name); err == nil {
		ids = append(ids, id)
	}
	return ids
}

// checkName refuses what names no instance, before it is a piece of an address.
func checkName(workflowType, name string) error {
	if err := events.CheckWorkflowType("type", workflowType); err != nil {
		return invalid(err)
	}
	if name == "" {
		return invalid(errors.New("the name of the instance is empty: give its business key, or id:UUID"))
	}
	return nil
}

func notFound(workflowType, idOrKey string) error {
	return &Error{
		Code: ErrNotFound.Code, Message: fmt.Sprintf("there is no instance %s of %s: it is neither a business key nor, as id:UUID, an instance id", idOrKey, workflowType),
		Fix: "leat list --type " + workflowType,
	}
}

func forgotten(workflowType, idOrKey string) error {
	return &Error{
		Code: ErrForgotten.Code, Message: fmt.Sprintf("%s %s is finished, and the retention that its definition declares is over", workflowType, idOrKey),
		Fix: fmt.Sprintf("its events are still there: leat history %s %s --brokers ADDRESS", workflowType, idOrKey),
	}
}

// cursor is where a page of direct reading ends.
type cursor struct {
	Created int64       `json:"c"` // microseconds
	ID      events.UUID `json:"i"`
}

func (c cursor) String() string {
	text, _ := events.EncodeJSON(c) // numbers and text cannot fail
	return string(text)
}
