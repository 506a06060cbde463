package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leat-io/leat/internal/store"
)

// shortLived ends with an error, or with ctx when there is none.
type shortLived struct{ ends error }

func (s shortLived) Run(ctx context.Context) error {
	if s.ends != nil {
		return s.ends
	}
	<-ctx.Done()
	return nil
}

func (s shortLived) Ready() error { return s.ends }

// What is on disk is a copy: a worker of leat dev whose store fails in use is
// made again, router and projector alike. Another error is for who runs it.
func TestWorkerWhoseStoreFailsIsMadeAgain(t *testing.T) {
	other := errors.New("other")
	for _, c := range []struct {
		name string
		ends []error
		made int
		want error
	}{
		{"the store failed", []error{fmt.Errorf("x: %w", store.ErrFailed), nil}, 2, nil},
		{"twice", []error{store.ErrFailed, store.ErrFailed, nil}, 3, nil},
		{"the disk was full", []error{&fsError{syscall.ENOSPC}, nil}, 2, nil},
		{"for another reason", []error{other}, 1, other},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made := 0
				d := new(Dev)
				l, err := d.newLasting(DevOptions{Logger: slog.New(slog.DiscardHandler)}, "projector", func() (worker, error) {
					made++
					return shortLived{c.ends[made-1]}, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := d.health.Ready(); !errors.Is(err, c.ends[0]) || err == nil {
					t.Errorf("at first it says %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := l.Run(ctx); !errors.Is(err, c.want) {
					t.Errorf("got %v", err)
				}
				if made != c.made {
					t.Errorf("made %d times, want %d", made, c.made)
				}
				if err := d.health.Ready(); !errors.Is(err, c.want) {
					t.Errorf("at last it says %v", err)
				}
			})
		})
	}
}

type fsError struct{ error }

func (e *fsError) Unwrap() error { return e.error }
