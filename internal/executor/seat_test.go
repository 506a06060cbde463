package executor

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/nodes"
	"github.com/leat-io/leat/pkg/events"
)

// Of two executors under one id the first ends, and says why. Two without an id are
// two nodes.
func TestTheSecondUnderAnIDEndsTheFirst(t *testing.T) {
	b := newBench(t, 1)
	run := func(id string) (*Executor, <-chan error, func()) {
		e, err := New(Config{Kafka: b.config, Names: b.names, NodeID: id})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Handle("pay.charge", func(context.Context, *events.Task) (json.RawMessage, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		return e, ended, cancel
	}
	seated := func(e *Executor) { // it is polled: nobody tells
		t.Helper()
		for e.seat.Ready() != nil {
			kafka.Pause(t.Context(), time.Millisecond)
			if t.Context().Err() != nil {
				t.Fatal("the executor is no node")
			}
		}
	}
	first, ended, _ := run("same")
	seated(first)
	second, other, stop := run("same")
	if err := <-ended; !errors.Is(err, nodes.ErrReplaced) {
		t.Errorf("the first ended with %v, want ErrReplaced", err)
	}
	seated(second)
	third, last, stopThird := run("")
	fourth, fourthEnded, stopFourth := run("")
	seated(third)
	seated(fourth)
	for _, end := range []struct {
		stop  func()
		ended <-chan error
	}{{stop, other}, {stopThird, last}, {stopFourth, fourthEnded}} {
		end.stop()
		if err := <-end.ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
}
