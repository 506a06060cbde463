package neighbours

import (
	"context"
	"strconv"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

const (
	busy = `leat: v1
type: busy
version: 1
data: {n: {type: long, default: 0}}
initial: w
states:
  w: {on: {more: {assign: {n: data.n + 1}}}}
`
	busyInstances = 64
	busyTick      = 20 * time.Millisecond
)

// runBusy has many small instances decide rate signals a second, until ctx ends.
func (e *engine) runBusy(ctx context.Context, rate float64) error {
	ids := make([]events.UUID, busyInstances)
	list := make([]*kafka.Record, 0, busyInstances)
	for i := range ids {
		key := strconv.Itoa(i)
		ids[i] = events.InstanceIDForKey(busyType, key)
		start, err := command(&events.Command{Command: events.CommandStart, WorkflowType: busyType, InstanceID: ids[i], Key: key})
		if err != nil {
			return err
		}
		list = append(list, start)
	}
	if err := e.Producer.Send(ctx, list...); err != nil {
		return err
	}
	tick := time.NewTicker(busyTick)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		list = list[:0]
		for wanted := int(rate * time.Since(began).Seconds()); sent < wanted; sent++ {
			r, err := command(&events.Command{Command: events.CommandSignal, WorkflowType: busyType, InstanceID: ids[sent%busyInstances], Event: "more"})
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		if err := e.Producer.Send(ctx, list...); err != nil {
			return err
		}
	}
}
