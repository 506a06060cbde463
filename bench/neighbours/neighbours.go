// Package neighbours measures what one very large instance costs the others of
// its router: small workflows are run one after the other, alone and then while
// the large one goes on.
package neighbours

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Options say what to measure.
type Options struct {
	Size    int    // of the large instance: tasks and timers; it has ten times as many events. Default 10,000
	Profile string // directory for a CPU profile of each case; "" for none
	Talk    func(format string, args ...any)
}

// Result is one line of output: from the start of a small workflow to its end,
// alone and beside a large instance. Ratio is of the two p99.
type Result struct {
	Bench     string  `json:"bench"`
	Case      string  `json:"case"`
	Size      int     `json:"size"`
	Done      int     `json:"done"` // how far the large instance came meanwhile: results, events, timers
	Small     int     `json:"small"`
	BeforeP50 float64 `json:"before_p50_ms"`
	BeforeP99 float64 `json:"before_p99_ms"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Max       float64 `json:"max_ms"`
	Ratio     float64 `json:"ratio"`
}

// measured is how many small workflows run alone, and at least beside the large
// instance; most is when there are enough.
const (
	measured = 400
	most     = 4000
)

// Run measures every case, each with an engine of its own.
func Run(ctx context.Context, o Options, emit func(any) error) error {
	if o.Size == 0 {
		o.Size = 10_000
	}
	for _, c := range cases(o.Size) {
		o.Talk("neighbours of %s of %d", c.name, c.size)
		line, err := measure(ctx, c, o)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if err := emit(line); err != nil {
			return err
		}
	}
	return nil
}

func measure(ctx context.Context, c large, o Options) (r Result, err error) {
	e, err := start(ctx, c.definition)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	if _, err := e.small(ctx, "warm", measured/4, nil); err != nil {
		return r, err
	}
	before, err := e.small(ctx, "before", measured, nil)
	if err != nil {
		return r, err
	}
	if o.Profile != "" {
		file, err := os.Create(filepath.Join(o.Profile, "neighbours-"+c.name+".pprof"))
		if err != nil {
			return r, fmt.Errorf("make profile: %w", err)
		}
		defer func() { _ = file.Close() }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return r, fmt.Errorf("profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	var failed error
	go func() {
		defer close(ended)
		failed = c.run(working, e, c.size)
	}()
	beside, err := e.small(ctx, "beside", most, ended)
	cancel()
	<-ended
	if err == nil && failed != nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	if err != nil {
		return r, err
	}
	r = Result{
		Bench: "neighbours", Case: c.name, Size: c.size, Done: int(e.done.Load()), Small: len(beside),
		BeforeP50: quantile(before, 0.5), BeforeP99: quantile(before, 0.99),
		P50: quantile(beside, 0.5), P99: quantile(beside, 0.99), Max: quantile(beside, 1),
	}
	r.Ratio = math.Round(100*r.P99/r.BeforeP99) / 100
	return r, nil
}

// small runs small workflows one after the other: n of them, or until the large
// instance has ended, whichever is first, but enough to say something.
func (e *engine) small(ctx context.Context, name string, n int, ended <-chan struct{}) (took []time.Duration, err error) {
	for i := range n {
		if i >= measured {
			select {
			case <-ended:
				return took, nil
			default:
			}
		}
		began := time.Now()
		if err := e.runSmall(ctx, fmt.Sprintf("%s-%d", name, i)); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// patience is how long a small workflow may take.
const patience = 60 * time.Second

func (e *engine) runSmall(ctx context.Context, key string) error {
	id := events.InstanceIDForKey(smallType, key)
	begin, err := command(&events.Command{Command: events.CommandStart, WorkflowType: smallType, InstanceID: id, Key: key})
	if err != nil {
		return err
	}
	end, err := command(&events.Command{Command: events.CommandSignal, WorkflowType: smallType, InstanceID: id, Event: "go"})
	if err != nil {
		return err
	}
	if err := e.producer.Send(ctx, begin, end); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		list, err := e.next(waiting, e.ends)
		if err != nil {
			return fmt.Errorf("%s does not end: %w", key, err)
		}
		if slices.ContainsFunc(list, func(v events.Event) bool { return v.InstanceID == id && v.EventType == events.EventWorkflowCompleted }) {
			return nil
		}
	}
}

// quantile of durations, in milliseconds.
func quantile(list []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	at := sorted[int(q*float64(len(sorted)-1))]
	return math.Round(float64(at.Microseconds())/10) / 100
}
