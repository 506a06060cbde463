package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/leat-io/leat/internal/avro"
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
	decision
	// lost is why nothing of the input could be kept, not even as an incident.
	lost error
	// replaced is why something else took the place of what the input said.
	replaced error
}

// follow decides an input and makes what follows part of the transaction. When
// that cannot be decided or written, the instance is parked with the input; when
// not even that can be written, a result fails its attempt instead. An error is
// about the local store or the definitions, and nothing was decided.
func (t *transaction) follow(ctx context.Context, at instance, e *entry, in input) (followed, error) {
	in.writable = func(d *decision) error { return t.writable(ctx, at, e.key, d) }
	room := maxRecord
	if in.command != nil && (isLife(in.command) || evolves(in.command)) {
		room = maxParked
	}
	d, err := t.decideInto(ctx, at, e, in, room)
	if err == nil || isFatal(err) {
		return followed{decision: d}, fatal(err)
	}
	why := err
	if parked, ok := undecidable(in, e.cur, unwritten(why)); ok && t.add(at, e, parked, maxParked) == nil {
		t.logParked(ctx, at, e, why)
		return followed{decision: parked}, nil
	}
	failed, ok := failedResult(in, codeOf(why), clipMessage("the result cannot be kept: "+why.Error()))
	if !ok {
		return followed{lost: why}, nil
	}
	if d, err = t.decideInto(ctx, at, e, failed, maxParked); err == nil || isFatal(err) {
		return followed{decision: d, replaced: why}, fatal(err)
	}
	if parked, ok := undecidable(failed, e.cur, unwritten(why)); ok && t.add(at, e, parked, maxParked) == nil {
		t.logParked(ctx, at, e, why)
		return followed{decision: parked, replaced: why}, nil
	}
	return followed{lost: why}, nil
}

// decideInto decides an input and adds what follows.
func (t *transaction) decideInto(ctx context.Context, at instance, e *entry, in input, room int) (decision, error) {
	d, err := decide(in, e.cur)
	if err != nil {
		return d, err
	}
	if err := t.settle(ctx, in, &d); err != nil {
		return d, &fatalError{err}
	}
	written := d
	if in.own {
		written.outcome = nil
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
func (t *transaction) writable(ctx context.Context, at instance, key []byte, d *decision) error {
	before, part := len(t.records), *d
	part.sends = nil
	for i := range d.signals {
		if _, err := t.deployed(ctx, d.signals[i].Type); err != nil {
			return err
		}
	}
	for _, c := range d.sends {
		if t.lane.registry.Partitions(c.WorkflowType) > 0 {
			part.sends = append(part.sends, c)
		}
	}
	err := t.encode(at, key, part, maxRecord)
	t.records = t.records[:before]
	return err
}

// encodeState is a snapshot as it goes into the state topic.
func encodeState(s *events.Snapshot, room int) (state []byte, err error) {
	defer rescue(&err)
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
		slog.String("instance", at.id.String()), slog.String("type", e.cur.WorkflowType), slog.String("code", codeOf(why)), slog.Any("error", why))
}
