package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// InTurn lets decide look and writes what it returns, so that of all who do so
// under one transactional id none writes without having seen what the others
// wrote. Taking the id over ends the writer that had it: their transaction is committed
// before decide looks, or never. Who was ended looks again, without the id first,
// since most then have nothing left to write; so decide may be called several
// times. Its error is returned as it is; nil records mean that it has nothing to
// write.
func InTurn(ctx context.Context, c Config, id string, decide func(context.Context) ([]*Record, error)) error {
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			Pause(ctx, betweenTurns(attempt))
			if records, err := decide(ctx); err != nil || len(records) == 0 {
				return err
			}
		}
		err := turn(ctx, c, id, decide)
		switch {
		case !again(err):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("write as %s: %w (%w)", id, ctx.Err(), err)
		}
	}
}

// betweenTurns spreads those who ended each other, over longer times the more
// often it happened.
func betweenTurns(attempt int) time.Duration {
	longest := min(20*time.Millisecond<<min(attempt, 8), time.Second)
	return rand.N(longest) //nolint:gosec // it spreads, and protects nothing
}

func turn(ctx context.Context, c Config, id string, decide func(context.Context) ([]*Record, error)) error {
	t, err := NewTransactor(ctx, c, id, TransactorConfig{})
	if err != nil {
		return err
	}
	defer t.Close()
	producer, epoch, err := t.client.ProducerID(ctx)
	if err != nil {
		return fmt.Errorf("take over transactional id %s: %w", id, err)
	}
	records, err := decide(ctx)
	if err != nil || len(records) == 0 {
		return err
	}
	return t.commitAs(ctx, records, producer, epoch)
}

// commitAs writes the records if the id is still held under this very epoch. The
// client library may take an id over again by itself, and the writer that had it in
// between could then have written.
func (t *Transactor) commitAs(ctx context.Context, records []*Record, producer int64, epoch int16) error {
	if err := t.client.BeginTransaction(); err != nil {
		return &TransactionError{Step: "begin", Err: err}
	}
	if err := t.produce(ctx, records); err != nil {
		return t.abort(ctx, "produce", err)
	}
	nowProducer, nowEpoch, err := t.client.ProducerID(ctx)
	if err == nil && (nowProducer != producer || nowEpoch != epoch) {
		err = kerr.ProducerFenced
	}
	if err != nil {
		return t.abort(ctx, "fence", err)
	}
	if err := t.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return &TransactionError{Step: "commit", Err: err}
	}
	return nil
}

// again says whether a turn was ended by the next one, or it is not known how it
// ended: taking the id over again settles that.
func again(err error) bool {
	if failed, ok := errors.AsType[*TransactionError](err); ok && failed.Step == "commit" {
		return true
	}
	for _, ended := range []error{
		kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.InvalidProducerIDMapping, kerr.UnknownProducerID,
		kerr.TransactionAbortable, kerr.ConcurrentTransactions,
	} {
		if errors.Is(err, ended) {
			return true
		}
	}
	return false
}
