package client

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

func TestReadingTheTopics(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 30*time.Second)
	d := fiveOrders(ctx, t, c)

	s, err := c.Get(ctx, "order", "3", GetOptions{MinSequence: d.Sequence()})
	if err != nil || s.State != events.WorkflowCompleted || s.Key != "3" {
		t.Fatalf("got %+v, %v", s, err)
	}
	if byID, err := c.Get(ctx, "order", s.InstanceID.String(), GetOptions{}); err != nil || byID.Key != "3" {
		t.Fatalf("got %+v, %v", byID, err)
	}
	if _, err := c.Get(ctx, "order", "none", GetOptions{}); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.Get(within(t, 200*time.Millisecond), "order", "3", GetOptions{MinSequence: 99}); !errors.Is(err, ErrTimeout) {
		t.Fatalf("got %v", err)
	}

	var keys []string
	for r := (ListRequest{Type: "order", Limit: 2}); ; {
		page, err := c.List(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Items {
			keys = append(keys, s.Key)
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			break
		}
	}
	if fmt.Sprint(keys) != "[4 3 2 1 0]" {
		t.Fatalf("listed %v", keys)
	}
	for want, r := range map[int]ListRequest{
		1: {Type: "order", WorkflowState: events.WorkflowCompleted}, 4: {Type: "order", State: "packing"},
	} {
		if page, err := c.List(ctx, r); err != nil || len(page.Items) != want {
			t.Fatalf("%+v: got %d, %v", r, len(page.Items), err)
		}
	}
	n, err := c.Counts(ctx, "order")
	if err != nil || n.Instances != 5 || n.Workflow[events.WorkflowRunning] != 4 || n.State["done"] != 1 {
		t.Fatalf("got %+v, %v", n, err)
	}

	list, err := c.History(ctx, "order", "3", HistoryRequest{})
	if err != nil || len(list) != 4 || list[3].EventType != events.EventWorkflowCompleted {
		t.Fatalf("got %+v, %v", list, err)
	}
	list, err = c.History(ctx, "order", "3", HistoryRequest{From: 2, Limit: 1})
	if err != nil || len(list) != 1 || list[0].SequenceNumber != 2 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if _, err := c.History(ctx, "order", "none", HistoryRequest{}); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestFollowEndsWithTheInstance(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 20*time.Second)
	if _, err := c.Do(ctx, StartRequest{Type: "order", Key: "1"}); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for e, err := range c.Follow(ctx, "order", "1", 2) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.SequenceNumber); e.SequenceNumber == 2 {
			if _, err := c.Signal(ctx, SignalRequest{Type: "order", Key: "1", Event: "finish"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if fmt.Sprint(got) != "[2 3 4]" {
		t.Fatalf("got %v", got)
	}
	for range c.Follow(ctx, "order", "1", 0) {
		break // leaving is allowed
	}
}

func TestWaitFinishedSeesTheEnd(t *testing.T) {
	c := withOrder(t)
	ctx := within(t, 20*time.Second)
	done := make(chan error, 1)
	go func() { // waits for what is not there yet
		s, err := c.WaitFinished(ctx, "order", "1")
		if err == nil && s.State != events.WorkflowCompleted {
			err = fmt.Errorf("it is %s", s.State)
		}
		done <- err
	}()
	if _, err := c.Do(ctx, StartRequest{Type: "order", Key: "1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Signal(ctx, SignalRequest{Type: "order", Key: "1", Event: "finish"}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s, err := c.WaitFinished(ctx, "order", "1"); err != nil || s.SequenceNumber != 4 {
		t.Fatalf("got %+v, %v", s, err)
	}
}
