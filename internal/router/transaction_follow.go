package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Bounds of one record, so that no decision can make a batch that the broker
// refuses for ever (message.max.bytes is about 1 MiB by default). What parks an
// instance, and what an operator asks for, may need a little more than what led
// there: room that nothing else can fill.
const (
	maxRecord = 900 << 10
	maxParked = 1000 << 10
)

// errUnwritten says that a snapshot cannot be written, which shows only when all
// of the transaction is decided. It is decided again, more carefully.
var errUnwritten = errors.New("a snapshot cannot be written")

// request is an input on its way through a transaction, and whose it is.
type request struct {
	at    instance
	entry *entry
	in    decide.Input
	own   bool // the router's own: no client waits for the outcome, and it is not written
}

// input is an input as this transaction decides all of them.
func (t *transaction) input() decide.Input {
	return decide.Input{Now: t.now, Source: t.lane.config.Slot, Seed: t.seed}
}

// decide is the way of every input, be it a command from a topic, a timer that is
// due, or a command of the router's own: it finds what the decision depends on,
// decides, and makes what follows part of the transaction. An error is about the
// local store or the definitions, never about the input.
func (t *transaction) decide(ctx context.Context, r request) (followed, error) {
	t.touched[r.at.partition] = true
	if err := t.machines(ctx, &r); err != nil {
		return followed{}, err
	}
	var err error
	if r.in.Crowded, err = t.crowded(&r); err != nil {
		return followed{}, err
	}
	return t.follow(ctx, r)
}

// machines finds the definitions that an input is decided with.
func (t *transaction) machines(ctx context.Context, r *request) (err error) {
	c := r.in.Command
	if cur := r.entry.cur; cur != nil {
		r.in.Machine, err = t.machine(ctx, cur.WorkflowType, cur.Version)
	} else {
		r.in.Machine, err = t.machine(ctx, c.WorkflowType, c.Version)
	}
	if err != nil {
		return err
	}
	for _, other := range decide.Versions(c) {
		if r.in.Others == nil {
			r.in.Others = make(map[int32]*fsm.Machine)
		}
		if r.in.Others[other], err = t.machine(ctx, c.WorkflowType, other); err != nil {
			return err
		}
	}
	return nil
}

// followed is what became of an input.
type followed struct {
	decide.Decision
	// lost is why nothing of the input could be kept, not even as an incident.
	lost error
	// replaced is why something else took the place of what the input said.
	replaced error
}

// follow decides an input with what is known, and adds what follows. When that
// cannot be decided or written, the instance is parked with the input; when
// not even that can be written, a result fails its attempt instead. An error is
// about the local store or the definitions, and nothing was decided.
func (t *transaction) follow(ctx context.Context, r request) (followed, error) {
	at, key := r.at, r.entry.key
	r.in.Writable = func(d *decide.Decision) error { return t.writable(ctx, at, key, d) }
	room := maxRecord
	if decide.OfOperator(r.in.Command) {
		room = maxParked
	}
	d, err := t.decideInto(ctx, r, room)
	if err == nil || isFatal(err) {
		return followed{Decision: d}, fatal(err)
	}
	if lean, has := decide.WithoutDetails(r.in); has {
		r.in = lean
		return t.follow(ctx, r)
	}
	why := err
	if parked, ok := t.park(ctx, r, why); ok {
		return followed{Decision: parked}, nil
	}
	var ok bool
	if r.in, ok = decide.AsFailure(r.in, why); !ok {
		return followed{lost: why}, nil
	}
	if d, err = t.decideInto(ctx, r, maxParked); err == nil || isFatal(err) {
		return followed{Decision: d, replaced: why}, fatal(err)
	}
	if parked, ok := t.park(ctx, r, why); ok {
		return followed{Decision: parked, replaced: why}, nil
	}
	return followed{lost: why}, nil
}

// decideInto decides an input and adds what follows.
func (t *transaction) decideInto(ctx context.Context, r request, room int) (decide.Decision, error) {
	d, err := decide.Decide(r.in, r.entry.cur)
	if err != nil {
		return d, err
	}
	if err := t.settle(ctx, r.in, &d); err != nil {
		return d, &fatalError{err}
	}
	written := d
	if r.own {
		written.Outcome = nil
	}
	return d, t.add(r.at, r.entry, written, room)
}

// park adds an incident in the place of what cannot be decided or written; ok is
// false when that is no way, or cannot be written either.
func (t *transaction) park(ctx context.Context, r request, why error) (parked decide.Decision, ok bool) {
	if parked, ok = decide.Park(r.in, r.entry.cur, why); !ok || t.add(r.at, r.entry, parked, maxParked) != nil {
		return parked, false
	}
	t.lane.config.Logger.LogAttrs(ctx, slog.LevelWarn, "what follows from an input cannot be written, the instance has an incident",
		slog.String("instance", r.at.id.String()), slog.String("type", r.entry.cur.WorkflowType), slog.String("code", decide.CodeOf(why)), slog.Any("error", why))
	return parked, true
}

// fatalError is about the local store or the definitions, and no input's fault.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

func isFatal(err error) bool {
	var f *fatalError
	return errors.As(err, &f)
}

func fatal(err error) error {
	if isFatal(err) {
		return err
	}
	return nil
}

// writable checks a part of a decision, without making it part of anything. A
// child of a type that is not deployed is no obstacle: settle sees to it.
func (t *transaction) writable(ctx context.Context, at instance, key []byte, d *decide.Decision) error {
	before, part := len(t.records), *d
	part.Sends = nil
	for i := range d.Signals {
		if _, err := t.deployed(ctx, d.Signals[i].Type); err != nil {
			return err
		}
	}
	for _, c := range d.Sends {
		if t.lane.registry.Partitions(c.WorkflowType) > 0 {
			part.Sends = append(part.Sends, c)
		}
	}
	err := t.encode(at, key, part, maxRecord)
	t.records = t.records[:before]
	return coded(err)
}

// encodeState is a snapshot as it goes into the state topic.
func encodeState(s *events.Snapshot, room int) (state []byte, err error) {
	defer decide.Rescue(&err)
	if state, err = avro.EncodeSnapshot(s); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	if len(state) > room {
		return nil, tooLarge("the instance's state", len(state), room)
	}
	return state, nil
}

func tooLarge(what string, size, room int) error {
	return fmt.Errorf("%s: %w: %d bytes, at most %d", what, avro.ErrTooLarge, size, room)
}

// settle makes sure that everybody whom a decision writes to can be written to.
// A child of a type that is not deployed becomes a failed result, so that its
// parent goes on. The error is that the definitions cannot be read, and then it
// is not known what is deployed.
func (t *transaction) settle(ctx context.Context, in decide.Input, d *decide.Decision) error {
	for i := range d.Signals {
		if _, err := t.deployed(ctx, d.Signals[i].Type); err != nil {
			return err
		}
	}
	kept := d.Sends[:0]
	for _, c := range d.Sends {
		known, err := t.deployed(ctx, c.WorkflowType)
		switch {
		case err != nil:
			return err
		case known:
			kept = append(kept, c)
		case c.Command == events.CommandStart:
			kept = append(kept, decide.NoChild(in, &c))
		default:
			t.lane.config.Logger.LogAttrs(ctx, slog.LevelWarn, "the sender cannot be notified: its type is not deployed",
				slog.String("command", string(c.Command)), slog.String("type", c.WorkflowType), slog.String("instance", c.InstanceID.String()))
		}
	}
	d.Sends = kept
	return nil
}

// deployed reports whether there are topics of a type. Before it says no, it
// makes sure to know everything that is deployed.
func (t *transaction) deployed(ctx context.Context, workflowType string) (bool, error) {
	if t.lane.registry.Partitions(workflowType) > 0 || t.synced {
		return t.lane.registry.Partitions(workflowType) > 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := t.lane.registry.Sync(ctx); err != nil {
		return false, err
	}
	t.synced = true
	return t.lane.registry.Partitions(workflowType) > 0, nil
}
