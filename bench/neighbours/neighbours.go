// Package neighbours measures what one very large instance costs the others of
// its router: small workflows are run one after the other, alone, while the large
// one goes on, and while many small ones are as busy as that one was.
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

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/pkg/events"
)

// Options say what to measure.
type Options struct {
	Size    int    // of the large instance: tasks and timers; it has ten times as many events. Default 10,000
	Profile string // directory for a CPU profile of each case; "" for none
	Talk    func(format string, args ...any)
}

// Result is one line of output: from the start of a small workflow to its end,
// alone, beside a large instance, and beside small ones that take as many inputs
// a second. Ratio is of the p99 beside the large one to that beside the small
// ones: what it costs that an instance is large, and not that it is busy.
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
	PerSecond float64 `json:"inputs_per_s"` // of the large instance, and of the small ones in its place
	BusyP50   float64 `json:"busy_p50_ms"`
	BusyP99   float64 `json:"busy_p99_ms"`
	Ratio     float64 `json:"ratio"`      // beside the large one to beside small ones that are as busy
	RatioIdle float64 `json:"ratio_idle"` // beside the large one to alone
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
	defer func() { err = errors.Join(err, e.Stop()) }()
	if _, err := e.small(ctx, "warm", measured/4, nil); err != nil {
		return r, err
	}
	before, err := e.small(ctx, "before", measured, nil)
	if err != nil {
		return r, err
	}
	began := time.Now()
	beside, err := e.beside(ctx, c, o.Profile)
	if err != nil {
		return r, err
	}
	rate := float64(e.inputs.Load()) / time.Since(began).Seconds()
	asBusy, err := e.besideBusy(ctx, rate)
	if err != nil {
		return r, err
	}
	r = Result{
		Bench: "neighbours", Case: c.name, Size: c.size, Done: int(e.done.Load()), Small: len(beside),
		BeforeP50: rig.Quantile(before, 0.5), BeforeP99: rig.Quantile(before, 0.99), PerSecond: math.Round(rate),
		BusyP50: rig.Quantile(asBusy, 0.5), BusyP99: rig.Quantile(asBusy, 0.99),
		P50: rig.Quantile(beside, 0.5), P99: rig.Quantile(beside, 0.99), Max: rig.Quantile(beside, 1),
	}
	r.Ratio, r.RatioIdle = math.Round(100*r.P99/r.BusyP99)/100, math.Round(100*r.P99/r.BeforeP99)/100
	return r, nil
}

// beside runs small workflows while the large instance goes on.
func (e *engine) beside(ctx context.Context, c large, profile string) (took []time.Duration, err error) {
	if profile != "" {
		file, err := os.Create(filepath.Join(profile, fmt.Sprintf("neighbours-%s-%d.pprof", c.name, c.size)))
		if err != nil {
			return nil, fmt.Errorf("make profile: %w", err)
		}
		defer func() { _ = file.Close() }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return nil, fmt.Errorf("profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	return e.during(ctx, "beside", most, func(ctx context.Context) error { return c.run(ctx, e, c.size) })
}

// besideBusy runs small workflows while other small ones take rate inputs a second.
func (e *engine) besideBusy(ctx context.Context, rate float64) ([]time.Duration, error) {
	return e.during(ctx, "busy", 2*measured, func(ctx context.Context) error { return e.runBusy(ctx, rate) })
}

// during runs at most n small workflows while run goes on, and ends it.
func (e *engine) during(ctx context.Context, name string, n int, run func(context.Context) error) ([]time.Duration, error) {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	var failed error
	go func() {
		defer close(ended)
		failed = run(working)
	}()
	took, err := e.small(ctx, name, n, ended)
	cancel()
	<-ended
	if err == nil && failed != nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	return took, err
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
	if err := e.Producer.Send(ctx, begin, end); err != nil {
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
