package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/pkg/events"
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

// followed is what became of an input.
type followed struct {
	decide.Decision
	// lost is why nothing of the input could be kept, not even as an incident.
	lost error
	// replaced is why something else took the place of what the input said.
	replaced error
}

// follow decides an input and makes what follows part of the transaction. When
// that cannot be decided or written, the instance is parked with the input; when
// not even that can be written, a result fails its attempt instead. An error is
// about the local store or the definitions, and nothing was decided.
func (t *transaction) follow(ctx context.Context, at instance, e *entry, in decide.Input) (followed, error) {
	in.Writable = func(d *decide.Decision) error { return t.writable(ctx, at, e.key, d) }
	room := maxRecord
	if decide.OfOperator(in.Command) {
		room = maxParked
	}
	d, err := t.decideInto(ctx, at, e, in, room)
	if err == nil || isFatal(err) {
		return followed{Decision: d}, fatal(err)
	}
	why := err
	if parked, ok := decide.Park(in, e.cur, why); ok && t.add(at, e, parked, maxParked) == nil {
		t.logParked(ctx, at, e, why)
		return followed{Decision: parked}, nil
	}
	failed, ok := decide.AsFailure(in, why)
	if !ok {
		return followed{lost: why}, nil
	}
	if d, err = t.decideInto(ctx, at, e, failed, maxParked); err == nil || isFatal(err) {
		return followed{Decision: d, replaced: why}, fatal(err)
	}
	if parked, ok := decide.Park(failed, e.cur, why); ok && t.add(at, e, parked, maxParked) == nil {
		t.logParked(ctx, at, e, why)
		return followed{Decision: parked, replaced: why}, nil
	}
	return followed{lost: why}, nil
}

// decideInto decides an input and adds what follows.
func (t *transaction) decideInto(ctx context.Context, at instance, e *entry, in decide.Input, room int) (decide.Decision, error) {
	d, err := decide.Decide(in, e.cur)
	if err != nil {
		return d, err
	}
	if err := t.settle(ctx, in, &d); err != nil {
		return d, &fatalError{err}
	}
	written := d
	if in.Own {
		written.Outcome = nil
	}
	return d, t.add(at, e, written, room)
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

func (t *transaction) logParked(ctx context.Context, at instance, e *entry, why error) {
	t.lane.config.Logger.LogAttrs(ctx, slog.LevelWarn, "what follows from an input cannot be written, the instance has an incident",
		slog.String("instance", at.id.String()), slog.String("type", e.cur.WorkflowType), slog.String("code", decide.CodeOf(why)), slog.Any("error", why))
}
