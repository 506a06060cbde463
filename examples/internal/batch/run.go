package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/leat-io/leat/examples/internal/devleat"
	"github.com/leat-io/leat/examples/internal/ledger"
	"github.com/leat-io/leat/examples/internal/progress"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/topics"
)

// patience is how often something that failed is tried again.
const patience = 250 * time.Millisecond

// run does everything, on a cluster or on a leat dev of its own.
func (b *Batch) run(ctx context.Context, o options) (err error) {
	instances, err := b.Instances(o.instances)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	bar := progress.New(os.Stderr, len(instances))
	partitions := int32(o.partitions)
	if o.brokers == "" {
		dev, err := devleat.Start(o.data, bar.Say, fail)
		if err != nil {
			return err
		}
		defer dev.Stop()
		o.brokers, o.api, partitions = dev.Kafka, cmp.Or(o.api, dev.API), cmp.Or(partitions, topics.DevPartitions)
		bar.Say("leat dev: %s, Kafka %s, data in %s", dev.API, dev.Kafka, o.data)
	}
	c, err := client.New(client.Config{Brokers: o.seeds(), API: o.api, ClientID: b.Name})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := insist(ctx, bar, func() error {
		_, err := c.Deploy(ctx, client.DeployRequest{Name: b.File, Source: b.Source, Partitions: partitions})
		return err
	}); err != nil {
		return reason(ctx, err)
	}
	r, err := b.all(ctx, c, o, instances, bar, fail)
	bar.End()
	if err != nil {
		return reason(ctx, err)
	}
	r.print(os.Stdout, b, o)
	if o.stay {
		fmt.Println("\nCtrl-C stops.")
		<-ctx.Done()
	}
	if err := r.printJSON(os.Stdout, b); err != nil { // last of all: programs read the last line
		return err
	}
	return r.err()
}

// reason is why ctx ended, if it did.
func reason(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		return errors.New("stopped before all were finished; the same command goes on from here")
	}
	return cmp.Or(cause, err)
}

// all works, starts and waits.
func (b *Batch) all(ctx context.Context, c *client.Client, o options, instances []Instance, bar *progress.Bar, fail func(error)) (r results, err error) {
	r = results{effects: filepath.Join(o.data, "out", "effects.jsonl"), instances: len(instances)}
	if r.before, err = b.look(ctx, c, instances); err != nil {
		return r, err
	}
	began := time.Now()
	stop, err := b.work(ctx, c, o, r.effects, instances, fail)
	if err != nil {
		return r, err
	}
	defer stop()
	if err := b.start(ctx, c, instances, bar); err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not all were finished after %s", o.timeout))
	defer cancel()
	if r.stand, err = b.await(ctx, c, instances, bar); err != nil {
		return r, reason(ctx, err)
	}
	r.took = time.Since(began)
	return r, nil
}

// work does tasks, and what other people do, in the background until it is stopped.
func (b *Batch) work(ctx context.Context, c *client.Client, o options, path string, instances []Instance, fail func(error)) (stop func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	effects, err := ledger.Open(path)
	if err != nil {
		return nil, err
	}
	e, err := executor.New(executor.Config{Brokers: o.seeds(), ClientID: b.Name + "-worker"})
	if err != nil {
		return nil, errors.Join(err, effects.Close())
	}
	b.Handle(e, Book{effects})
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	background := func(what string, do func() error) {
		wg.Go(func() {
			if err := do(); err != nil && ctx.Err() == nil {
				fail(fmt.Errorf("%s ended: %w", what, err))
			}
		})
	}
	background("the executor", func() error { return e.Run(ctx) })
	if b.Others != nil {
		background("what others do", func() error { return b.Others(ctx, c, instances) })
	}
	return func() {
		cancel()
		wg.Wait()
		_ = effects.Close()
	}, nil
}

// start sends what each instance needs. What fails is sent again: the keys make
// that harmless.
func (b *Batch) start(ctx context.Context, c *client.Client, instances []Instance, bar *progress.Bar) error {
	for i := range instances {
		for _, request := range instances[i].requests(b.Name) {
			if err := insist(ctx, bar, func() error { _, err := c.Send(ctx, request); return err }); err != nil {
				return fmt.Errorf("%s: %w", instances[i].Key, err)
			}
		}
	}
	return nil
}

// insist repeats what fails while Kafka or a projector is away.
func insist(ctx context.Context, bar *progress.Bar, do func() error) error {
	for said := false; ; {
		err := do()
		if err == nil || ctx.Err() != nil || !errors.Is(err, client.ErrUnavailable) && !errors.Is(err, client.ErrProjector) && !errors.Is(err, client.ErrTimeout) {
			return err
		}
		if !said {
			bar.Say("%v; trying again", err)
			said = true
		}
		if err := Sleep(ctx, patience); err != nil {
			return err
		}
	}
}

// Sleep waits, or ends with ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// await waits until every instance is finished.
func (b *Batch) await(ctx context.Context, c *client.Client, instances []Instance, bar *progress.Bar) (s stand, err error) {
	for {
		err := insist(ctx, bar, func() (err error) { s, err = b.look(ctx, c, instances); return err })
		if err != nil {
			return s, err
		}
		if bar.Set(s.finished); s.finished == len(instances) {
			return s, nil
		}
		if err := Sleep(ctx, patience); err != nil {
			return s, err
		}
	}
}
