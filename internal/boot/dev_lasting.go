package boot

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"time"

	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/store"
)

// lastingWorker runs a worker with a local store, and a new one when the store
// of the last failed while it was in use: it is a copy, and is made again.
type lastingWorker struct {
	name   string
	health *ops.Health
	logger *slog.Logger
	build  func() (worker, error)
	first  worker
	rest   time.Duration // before a new one; a disk that is full is asked as often
}

// newLasting makes the first, whose error is its caller's.
func (d *Dev) newLasting(o DevOptions, name string, build func() (worker, error)) (*lastingWorker, error) {
	first, err := build()
	if err != nil {
		return nil, err
	}
	d.health.Add(name, first.Ready)
	return &lastingWorker{name: name, health: &d.health, logger: o.Logger, build: build, first: first, rest: time.Second}, nil
}

// Ready is the first one's; later ones are in the list of checks.
func (l *lastingWorker) Ready() error { return l.first.Ready() }

// Run ends with ctx, or for another reason than the store.
func (l *lastingWorker) Run(ctx context.Context) error {
	for w := l.first; ; {
		err := w.Run(ctx)
		if ctx.Err() != nil || !errors.Is(err, store.ErrFailed) && !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		l.logger.Error("worker ended, starting it again", "part", l.name, "error", err)
		if !sleep(ctx, l.rest) {
			return nil
		}
		if w, err = l.build(); err != nil {
			return err
		}
		l.health.Add(l.name, w.Ready)
	}
}
