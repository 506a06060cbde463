package boot

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/kafka"
)

// Back-off of what is tried again.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 10 * time.Second
)

// supervise runs a worker until ctx ends. A worker that ends for a reason that
// may pass is made anew; one that cannot work until an operator changes something
// ends the process, so that the reason is seen.
func (p *process) supervise(ctx context.Context, w worker) error {
	wait := firstPause
	for {
		begin := time.Now()
		err := w.Run(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end
		}
		if err == nil {
			err = errors.New("the worker ended by itself")
		}
		if explain.Lasting(explain.Error("", err)) && !errors.Is(err, syscall.ENOSPC) { // there may be room again
			return err
		}
		if time.Since(begin) > time.Minute {
			wait = firstPause
		}
		p.logger.Error("worker ended, starting it again", "error", err, "wait", wait.String())
		if !sleep(ctx, wait) {
			return nil
		}
		wait = min(2*wait, lastPause)
		if w, err = p.role.start(p); err != nil {
			return err
		}
		p.health.Add(p.role.Name, w.Ready)
	}
}

// sleep waits, and reports whether it came to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// brokerWatch asks Kafka now and then whether it is there, says so when that
// changes, and answers readiness.
type brokerWatch struct {
	config kafka.Config
	logger *slog.Logger
	state  atomic.Pointer[brokerState]
}

type brokerState struct{ err error }

var errNotAsked = errors.New("kafka was not reached yet")

const (
	askEvery = 5 * time.Second
	askLimit = 3 * time.Second
)

// Ready is nil while Kafka answers.
func (b *brokerWatch) Ready() error {
	if s := b.state.Load(); s != nil {
		return s.err
	}
	return errNotAsked
}

// Run watches until ctx ends.
func (b *brokerWatch) Run(ctx context.Context) error {
	config := b.config
	config.Logger = nil // it speaks for itself
	admin, err := kafka.NewAdmin(config)
	if err != nil {
		return err
	}
	defer admin.Close()
	wait := firstPause
	for {
		err := b.ask(ctx, admin)
		if ctx.Err() != nil {
			return nil
		}
		b.note(err)
		pause := askEvery
		if err != nil {
			pause = wait
			wait = min(2*wait, askEvery)
		} else {
			wait = firstPause
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

func (b *brokerWatch) ask(ctx context.Context, admin *kafka.Admin) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	// The client may answer a ping from memory; a connection it cannot.
	if b.config.Dial == nil {
		if err := Reach(ctx, b.config.Brokers); err != nil {
			return err
		}
	}
	_, err := admin.Ping(ctx)
	return err
}

func (b *brokerWatch) note(err error) {
	was := b.state.Swap(&brokerState{err})
	brokers := strings.Join(b.config.Brokers, ",")
	switch {
	case err != nil && (was == nil || was.err == nil):
		b.logger.Warn("kafka does not answer, trying again until it does", "brokers", brokers, "error", err)
	case err == nil && was != nil && was.err != nil:
		b.logger.Info("kafka answers again", "brokers", brokers)
	case err == nil && was == nil:
		b.logger.Info("connected to kafka", "brokers", brokers)
	}
}

// group runs functions side by side; the first error ends all of them.
type group struct {
	ctx    context.Context //nolint:containedctx // the life of the group is the life of its functions
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	err    error
}

func newGroup(parent context.Context) *group {
	ctx, cancel := context.WithCancel(parent)
	return &group{ctx: ctx, cancel: cancel}
}

// Go runs f. A nil error of f ends nothing else.
func (g *group) Go(f func(context.Context) error) {
	g.wg.Go(func() {
		if err := f(g.ctx); err != nil {
			g.once.Do(func() { g.err = err; g.cancel() })
		}
	})
}

// Stop asks every function to end.
func (g *group) Stop() { g.cancel() }

// Wait gives the first error when all have ended.
func (g *group) Wait() error {
	g.wg.Wait()
	g.cancel()
	return g.err
}
