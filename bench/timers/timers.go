// Package timers measures how late timers fire and how many fire a second: an
// embedded broker and a router in this process, with nothing else to do, and
// instances that wait for an instant that their start names.
package timers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// Options say what to measure.
type Options struct {
	Spread time.Duration // between the due times of the first run's timers, first to last
	Talk   func(format string, args ...any)
}

// Result is one line of output. Lateness is from the instant that the timer
// names: to the time of the event that its firing wrote, and to when a consumer
// of committed events had that event.
type Result struct {
	Bench   string  `json:"bench"`
	Timers  int     `json:"timers"`
	Spread  float64 `json:"spread_s"` // between the first due time and the last
	P50     float64 `json:"late_p50_ms"`
	P99     float64 `json:"late_p99_ms"`
	Max     float64 `json:"late_max_ms"`
	SeenP50 float64 `json:"seen_p50_ms"`
	SeenP99 float64 `json:"seen_p99_ms"`
	// PerSecond is all timers over the time from the first due time to the last
	// event's arrival: the rate of firing where all are due at once.
	PerSecond float64 `json:"timers_per_s"`
}

const (
	waitType   = "wait"
	definition = `leat: v1
type: wait
version: 1
initial: waiting
states:
  waiting:
    after: {"timestamp(input.due) - now": over}
  over: {type: final}
`
	perSecond = 50     // timers of the spread run that are due in one second
	atOnce    = 10_000 // timers of the run in which all are due at one instant
	// startsPerSecond is a rate at which instances surely start: the first timer is
	// due only when all have.
	startsPerSecond = 500
)

// Run measures timers that are spread over a while, and then as many as are due
// at one instant.
func Run(ctx context.Context, o Options, emit func(any) error) (err error) {
	started, err := rig.Start(ctx, rig.Types{waitType: definition})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, started.Stop()) }()
	e := &engine{Engine: started}
	if e.fetcher, err = e.Follow(e.Names.Events(waitType)); err != nil {
		return err
	}
	spread := int(o.Spread.Seconds() * perSecond)
	for _, r := range []struct {
		name   string
		timers int
		spread time.Duration
	}{{"warm_up", 100, 0}, {"timers_spread", spread, o.Spread}, {"timers_at_once", atOnce, 0}} {
		o.Talk("%s: %d timers over %v", r.name, r.timers, r.spread)
		line, err := e.measure(ctx, r.name, r.timers, r.spread)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if r.name == "warm_up" {
			continue
		}
		if err := emit(line); err != nil {
			return err
		}
	}
	return nil
}

// engine is a router in this process, and what follows its events.
type engine struct {
	*rig.Engine
	fetcher *kafka.Fetcher
}

// measure starts instances, and looks at what their timers wrote.
func (e *engine) measure(ctx context.Context, name string, timers int, spread time.Duration) (Result, error) {
	lead := 3*time.Second + time.Duration(timers)*time.Second/startsPerSecond
	first := events.Instant(time.Now().Add(lead))
	due := make(map[events.UUID]time.Time, timers)
	starts := make([]*kafka.Record, 0, timers)
	for n := range timers {
		key := fmt.Sprintf("%s-%d", name, n)
		id := events.InstanceIDForKey(waitType, key)
		due[id] = events.Instant(first.Add(spread * time.Duration(n) / time.Duration(timers)))
		record, err := e.start(key, id, due[id])
		if err != nil {
			return Result{}, err
		}
		starts = append(starts, record)
	}
	if err := e.Producer.Send(ctx, starts...); err != nil {
		return Result{}, err
	}
	return e.collect(ctx, Result{Bench: name, Timers: timers, Spread: spread.Seconds()}, first, due)
}

// start is the command that starts an instance.
func (e *engine) start(key string, id events.UUID, due time.Time) (*kafka.Record, error) {
	input, err := json.Marshal(map[string]any{"due": due})
	if err != nil {
		return nil, fmt.Errorf("write input: %w", err)
	}
	return rig.Command(e.Names, &events.Command{
		Command: events.CommandStart, WorkflowType: waitType, InstanceID: id, Key: key, Payload: input,
	})
}

// patience is how long nothing may end.
const patience = 60 * time.Second

func (e *engine) collect(ctx context.Context, r Result, first time.Time, due map[events.UUID]time.Time) (Result, error) {
	var late, seen []time.Duration
	for len(late) < r.Timers {
		polling, cancel := context.WithTimeout(ctx, patience)
		records, err := e.fetcher.Poll(polling, 5000)
		cancel()
		now := time.Now()
		if err == nil && len(records) == 0 {
			err = fmt.Errorf("no event came for %v", patience)
		}
		if err != nil {
			return r, fmt.Errorf("%d of %d timers did not fire: %w", r.Timers-len(late), r.Timers, err)
		}
		for _, record := range records {
			event, err := avro.DecodeEvent(record.Value)
			if err != nil {
				return r, err
			}
			if event.EventType == events.EventWorkflowStarted && event.Timestamp.After(first) {
				return r, fmt.Errorf("the machine is too busy: not all of %d instances had started when the first timer was due", r.Timers)
			}
			if event.EventType == events.EventWorkflowCompleted {
				late = append(late, event.Timestamp.Sub(due[event.InstanceID]))
				seen = append(seen, now.Sub(due[event.InstanceID]))
			}
		}
		r.PerSecond = math.Round(float64(r.Timers) / now.Sub(first).Seconds())
	}
	r.P50, r.P99, r.Max = rig.Quantile(late, 0.5), rig.Quantile(late, 0.99), rig.Quantile(late, 1)
	r.SeenP50, r.SeenP99 = rig.Quantile(seen, 0.5), rig.Quantile(seen, 0.99)
	return r, nil
}
