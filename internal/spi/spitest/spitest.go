// Package spitest holds the compliance suites of the contracts in pkg/spi. Who
// implements a contract runs its suite; every implementation runs the same list:
//
//	func TestCompliance(t *testing.T) {
//		spitest.TestEventBus(t, func(t *testing.T) spitest.EventBusSetup { … })
//	}
//
// A case is a func that returns an error,
// so that a suite can also be run outside of a test, and so that the suites
// themselves are tested: this package's own tests break an implementation in
// many ways and expect the right case to fail.
package spitest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Case is one promise of a contract. Run returns nil when the implementation in
// setup keeps it, and gives up when ctx ends.
type Case[Setup any] struct {
	Name string
	Run  func(ctx context.Context, setup Setup) error
}

// CaseTimeout bounds one case.
const CaseTimeout = 30 * time.Second

func runCases[Setup any](t *testing.T, cases []Case[Setup], open func(t *testing.T) Setup) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			setup := open(t)
			ctx, cancel := context.WithTimeout(t.Context(), CaseTimeout)
			defer cancel()
			if err := c.Run(ctx, setup); err != nil {
				t.Error(err)
			}
		})
	}
}

// newID is an identifier that nobody has used before, so that a suite may run
// again on the same cluster.
func newID() events.UUID {
	var u events.UUID
	_, _ = rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

func newName(prefix string) string { return prefix + "-" + newID().String()[:8] }

// wait is the next value of c, or what was waited for in vain.
func wait[T any](ctx context.Context, c <-chan T, what string) (T, error) {
	select {
	case v := <-c:
		return v, nil
	case <-ctx.Done():
		var zero T
		return zero, fmt.Errorf("waited in vain for %s: %w", what, ctx.Err())
	}
}

// maybeEnded is ctx, or one that has ended.
func maybeEnded(ctx context.Context, ended bool) context.Context {
	if !ended {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// inTime runs f, which promises not to block.
func inTime(ctx context.Context, what string, f func()) error {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	_, err := wait(ctx, done, what)
	return err
}

// collector keeps what handlers were given.
type collector[T any] struct {
	mu      sync.Mutex
	items   []T
	changed chan struct{}
}

func newCollector[T any]() *collector[T] {
	return &collector[T]{changed: make(chan struct{}, 1)}
}

func (c *collector[T]) add(item T) {
	c.mu.Lock()
	c.items = append(c.items, item)
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *collector[T]) all() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]T(nil), c.items...)
}

// until waits for a collection that is complete, and returns it.
func (c *collector[T]) until(ctx context.Context, complete func([]T) bool) ([]T, error) {
	for {
		items := c.all()
		if complete(items) {
			return items, nil
		}
		if _, err := wait(ctx, c.changed, fmt.Sprintf("more than %d deliveries", len(items))); err != nil {
			return items, err
		}
	}
}

func (c *collector[T]) count(ctx context.Context, n int) ([]T, error) {
	return c.until(ctx, func(items []T) bool { return len(items) >= n })
}

// problems collects what is wrong; the first few are told.
type problems []string

func (p *problems) addf(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) err() error {
	const most = 5
	switch n := len(*p); {
	case n == 0:
		return nil
	case n > most:
		return fmt.Errorf("%s; and %d more", strings.Join((*p)[:most], "; "), n-most)
	default:
		return errors.New(strings.Join(*p, "; "))
	}
}

// same compares bytes where nil and empty are equal.
func same(a, b []byte) bool { return bytes.Equal(a, b) }

// end ends a subscription at the end of a case.
func end(ctx context.Context, unsubscribe func(context.Context) error, err *error) {
	if unsubscribe == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CaseTimeout)
	defer cancel()
	if failed := unsubscribe(ctx); failed != nil {
		*err = errors.Join(*err, fmt.Errorf("unsubscribe: %w", failed))
	}
}
