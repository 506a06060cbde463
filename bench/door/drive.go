package door

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/pkg/executor"
)

// The benchmark's program is started again as these.
const (
	driveCommand = "door-drive"
	workCommand  = "door-work"
)

// report is what a driver says at the end of its turn.
type report struct {
	Seconds float64       `json:"seconds"`
	Micros  []int64       `json:"micros"` // of each workflow that ended in time, from before its start
	CPU     time.Duration `json:"cpu"`    // of the driver
}

// Child runs the part of the benchmark that args ask for, when they do: the
// program is one of the benchmark's own processes then.
func Child(args []string) (mine bool, err error) {
	if len(args) == 0 || !slices.Contains([]string{driveCommand, workCommand, crowdCommand}, args[0]) {
		return false, nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch args[0] {
	case workCommand:
		return true, work(ctx, strings.Split(args[1], ","), args[2])
	case crowdCommand:
		return true, askCrowds(ctx, args[1])
	default:
		return true, drive(ctx, args[1:])
	}
}

// concurrency is how many tasks the executor runs at once.
const concurrency = 1024

// work runs the tasks until the benchmark ends.
func work(ctx context.Context, brokers []string, prefix string) error {
	w, err := executor.New(executor.Config{Brokers: brokers, Prefix: prefix, NodeID: "bench", Concurrency: concurrency})
	if err != nil {
		return err
	}
	executor.Handle(w, taskName, func(context.Context, any) (any, error) { return nil, nil })
	return w.Run(ctx)
}

// drive keeps some workflows in flight for a while: each that ends starts the next.
func drive(ctx context.Context, args []string) error {
	side, brokers, prefix, api := args[0], strings.Split(args[1], ","), args[2], args[3]
	inFlight, err := strconv.Atoi(args[4])
	if err != nil {
		return fmt.Errorf("in flight: %w", err)
	}
	most, err := time.ParseDuration(args[5])
	if err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	run, end, err := open(ctx, side, brokers, prefix, api)
	if err != nil {
		return err
	}
	defer end()
	for range 3 { // connections are there, and what follows is followed
		if err := run(ctx, 0); err != nil {
			return err
		}
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode("begins"); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	r, err := loop(ctx, run, inFlight, most)
	if err != nil {
		return err
	}
	if err := out.Encode(r); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// loop runs workflows one after the other in as many goroutines as are in flight.
func loop(ctx context.Context, run runner, inFlight int, most time.Duration) (report, error) {
	cpu, began := rig.OwnTime(), time.Now()
	took := make([][]int64, inFlight)
	failed := make([]error, inFlight)
	var group sync.WaitGroup
	for i := range inFlight {
		group.Go(func() {
			for n := 1; time.Since(began) < most && failed[i] == nil; n++ {
				start := time.Now()
				failed[i] = run(ctx, n)
				took[i] = append(took[i], time.Since(start).Microseconds())
			}
		})
	}
	group.Wait()
	if err := errors.Join(failed...); err != nil {
		return report{}, err
	}
	return report{Seconds: time.Since(began).Seconds(), Micros: slices.Concat(took...), CPU: rig.OwnTime() - cpu}, nil
}
