package neighbours

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

const (
	smallType = "small"
	largeType = "large"
	busyType  = "busy"
	small     = `leat: v1
type: small
version: 1
initial: waiting
states:
  waiting: {on: {go: over}}
  over: {type: final}
`
)

// engine is a router in this process, and what follows its topics.
type engine struct {
	*rig.Engine
	ends   *kafka.Fetcher // events of the small workflows
	large  *kafka.Fetcher // events of the large one
	tasks  *kafka.Fetcher
	done   atomic.Int64 // events of the large one
	inputs atomic.Int64 // that were sent to it
}

func start(ctx context.Context, definition string) (*engine, error) {
	started, err := rig.Start(ctx, rig.Types{smallType: small, largeType: definition, busyType: busy}, "bench")
	if err != nil {
		return nil, err
	}
	e := &engine{Engine: started}
	for _, f := range []struct {
		to    **kafka.Fetcher
		topic string
	}{{&e.ends, e.Names.Events(smallType)}, {&e.large, e.Names.Events(largeType)}, {&e.tasks, e.Names.Tasks("bench")}} {
		if *f.to, err = e.Follow(f.topic); err != nil {
			return nil, errors.Join(err, e.Stop())
		}
	}
	return e, nil
}

// next waits for events.
func (e *engine) next(ctx context.Context, f *kafka.Fetcher) (list []events.Event, err error) {
	records, err := f.Poll(ctx, 2000)
	if err == nil && len(records) == 0 {
		err = context.Cause(ctx)
	}
	for _, record := range records {
		event, err := avro.DecodeEvent(record.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, event)
	}
	return list, err
}

func command(c *events.Command) (*kafka.Record, error) { return rig.Command(topics.Names{}, c) }
