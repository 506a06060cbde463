package door

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/topics"
)

// The ways to wait for the end of a workflow. The bare one comes first.
const (
	bare      = "bare"
	direct    = "direct"
	projector = "projector"
	alone     = "api"
)

// dev is the direct way on the broker of `leat dev`.
const dev = "dev"

// number is input and output of a workflow.
type number struct {
	N int `json:"n"`
}

// runner starts one workflow and returns when it has ended.
type runner func(ctx context.Context, n int) error

// patience is how long a workflow may take.
const patience = time.Minute

func open(ctx context.Context, side string, brokers []string, prefix, api string) (run runner, end func(), err error) {
	switch side {
	case bare, direct:
		api = ""
	case alone:
		brokers = nil
	}
	c, err := clientOf(brokers, prefix, api)
	if err != nil {
		return nil, nil, err
	}
	if side == bare {
		return openBare(ctx, c, brokers, prefix)
	}
	return func(ctx context.Context, n int) error { return wait(ctx, c, n) }, c.Close, nil
}

// wait is what a user's program does.
func wait(ctx context.Context, c *client.Client, n int) error {
	return waitFor(ctx, c, n, client.StartRequest{Type: workflowType, Input: number{n}})
}

// waitFor starts an instance whose output is n.
func waitFor(ctx context.Context, c *client.Client, n int, start client.StartRequest) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	run, err := c.Start(ctx, start)
	if err != nil {
		return err
	}
	got, err := client.Result[number](ctx, run)
	if err == nil && got.N != n {
		err = fmt.Errorf("%s gives %d, want %d", run.InstanceID(), got.N, n)
	}
	return err
}

// reader waits for the ends of workflows by reading the headers of committed
// events, and does nothing else: no program could wait for less.
type reader struct {
	client  *client.Client
	fetcher *kafka.Fetcher

	mu      sync.Mutex
	waiting map[string]chan struct{} // by instance id
	failed  error
}

func openBare(ctx context.Context, c *client.Client, brokers []string, prefix string) (runner, func(), error) {
	config := kafka.Config{Brokers: brokers, ClientID: "leat-bench"}
	offsets, err := kafka.NewReader(config)
	if err != nil {
		return nil, nil, err
	}
	defer offsets.Close()
	ranges, err := offsets.Ranges(ctx, topics.Names{Prefix: prefix}.Events(workflowType))
	if err != nil {
		return nil, nil, err
	}
	r := &reader{client: c, waiting: make(map[string]chan struct{})}
	if r.fetcher, err = kafka.NewFetcher(config); err != nil {
		return nil, nil, err
	}
	for at, bounds := range ranges {
		r.fetcher.Add(at, bounds.End)
	}
	reading, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.read(reading)
	}()
	return r.run, func() {
		stop()
		<-ended
		r.fetcher.Close()
		c.Close()
	}, nil
}

func (r *reader) read(ctx context.Context) {
	for {
		records, err := r.fetcher.Poll(ctx, 5000)
		r.mu.Lock()
		if err != nil || ctx.Err() != nil {
			r.failed = err
			for id, ended := range r.waiting {
				delete(r.waiting, id)
				close(ended)
			}
			r.mu.Unlock()
			return
		}
		for _, record := range records {
			if ended := r.waiting[string(record.Key)]; ended != nil && rig.IsCompleted(record) {
				delete(r.waiting, string(record.Key))
				close(ended)
			}
		}
		r.mu.Unlock()
	}
}

func (r *reader) run(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id := rig.RandomID()
	ended := make(chan struct{})
	r.mu.Lock()
	r.waiting[id.String()] = ended
	r.mu.Unlock()
	if _, err := r.client.Send(ctx, client.StartRequest{Type: workflowType, InstanceID: id, Input: number{n}}); err != nil {
		return err
	}
	select {
	case <-ended:
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.failed
	case <-ctx.Done():
		return fmt.Errorf("%s does not end: %w", id, ctx.Err())
	}
}
