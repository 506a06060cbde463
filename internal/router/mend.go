package router

import (
	"context"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/kafka"
)

// mendEvery is how often the router looks for transactions of its own that a
// broker forgot to end. Records behind such a one wait for two looks.
const mendEvery = 5 * time.Second

// mend ends them until ctx ends. It is beside the lane: what it mends are
// transactions that the lane is done with.
func (r *Router) mend(ctx context.Context, l *lane) error {
	mender := kafka.NewMender(r.admin, &l.outcomes, r.config.Names.Prefix, l.transactionalID(0), l.transactionalID(1))
	failed := ""
	for {
		if kafka.Pause(ctx, r.config.Kafka.Upkeep(mendEvery)); ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		mended, err := r.look(ctx, mender)
		for _, m := range mended {
			r.config.Metrics.mended()
			r.config.Logger.LogAttrs(ctx, slog.LevelError, "kafka forgot to end a transaction, its markers are written now",
				slog.String("transactional_id", m.TransactionalID), slog.Int64("producer_id", m.ProducerID), slog.Int("epoch", int(m.Epoch)),
				slog.Bool("committed", m.Committed), slog.Any("partitions", m.Partitions))
		}
		if err != nil && ctx.Err() == nil && err.Error() != failed {
			failed = err.Error() // said once, as long as it stays the same
			r.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot look for transactions that kafka forgot to end", slog.Any("error", err))
		}
	}
}

func (r *Router) look(ctx context.Context, mender *kafka.Mender) ([]kafka.Mended, error) {
	ctx, cancel := context.WithTimeout(ctx, mendEvery)
	defer cancel()
	return mender.Look(ctx)
}
