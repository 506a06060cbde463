package door

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/pkg/client"
)

// crowdCommand is how the benchmark's program is started again to ask a crowd.
const crowdCommand = "door-crowd"

const (
	crowdRounds = 10 // turns of each crowd: few, many, many, few, …
	crowdFlight = 8  // operations at once
)

// crowdTask is what the driver is told.
type crowdTask struct {
	Brokers   []string
	Prefix    string
	API       string
	Few, Many int
	Turn      time.Duration
	Processes map[string]int // whose processor time is reported besides the driver's own
}

// operation is what is measured: one of them, on one type. n is never the same twice.
// turns is how much longer than others its turns are: what takes longer and costs
// more in other processes needs more of them for the same certainty.
type operation struct {
	name  string
	turns int
	run   func(ctx context.Context, c *client.Client, crowd crowd, n int) error
}

// crowd is one of the two sides.
type crowd struct {
	workflowType string
	size         int
}

var operations = []operation{
	{"wait", 3, func(ctx context.Context, c *client.Client, of crowd, n int) error {
		return waitFor(ctx, c, n, client.StartRequest{Type: of.workflowType, Input: crowdInput{Wait: true, N: n}})
	}},
	{"get", 1, func(ctx context.Context, c *client.Client, of crowd, n int) error {
		key := crowdKey(n * 7919 % of.size) // all over the crowd
		s, err := c.Get(ctx, of.workflowType, key, client.GetOptions{})
		if err == nil && s.Key != key {
			err = fmt.Errorf("%s is the instance with the key %s", key, s.Key)
		}
		return err
	}},
	{"history", 1, func(ctx context.Context, c *client.Client, of crowd, _ int) error {
		list, err := c.History(ctx, of.workflowType, longKey(of.size), client.HistoryRequest{})
		if err == nil && len(list) != longHistory {
			err = fmt.Errorf("a history has %d events, want %d", len(list), longHistory)
		}
		return err
	}},
}

// askCrowds measures every operation through both ways of asking, and writes a
// line for each.
func askCrowds(ctx context.Context, text string) error {
	var t crowdTask
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	for _, side := range []string{direct, projector} {
		api := ""
		if side == projector {
			api = t.API
		}
		for _, op := range operations {
			r, err := t.compare(ctx, op, api)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", op.name, side, err)
			}
			r.Side = side
			if err := out.Encode(r); err != nil {
				return fmt.Errorf("report: %w", err)
			}
		}
	}
	return nil
}

// spell is what turns of one crowd gave.
type spell struct {
	took []time.Duration
	cpu  map[string]time.Duration
}

// compare lets the crowds take turns with one operation. Each has a client.
func (t *crowdTask) compare(ctx context.Context, op operation, api string) (CrowdResult, error) {
	sides := [2]crowd{{fewType, t.Few}, {manyType, t.Many}}
	turn := t.Turn * time.Duration(op.turns)
	var clients [2]*client.Client
	for i := range clients {
		var err error
		if clients[i], err = clientOf(t.Brokers, t.Prefix, api); err != nil {
			return CrowdResult{}, err
		}
		defer clients[i].Close()
		if err := atOnce(ctx, func(ctx context.Context, n int) error { return op.run(ctx, clients[i], sides[i], n) }, turn, nil); err != nil {
			return CrowdResult{}, err // warm
		}
	}
	var total [2]spell
	ratios := make([]float64, 0, crowdRounds)
	for round := range crowdRounds {
		var each [2]float64
		for i := range sides {
			i ^= round % 2
			before, err := usedBy(t.Processes)
			if err != nil {
				return CrowdResult{}, err
			}
			runtime.GC() // what the other side left is not this side's cost
			own, n := rig.OwnTime(), len(total[i].took)
			if err := atOnce(ctx, func(ctx context.Context, n int) error { return op.run(ctx, clients[i], sides[i], n) }, turn, &total[i].took); err != nil {
				return CrowdResult{}, err
			}
			own = rig.OwnTime() - own
			each[i] = float64(own) / float64(len(total[i].took)-n)
			if err := total[i].use(t.Processes, before, own); err != nil {
				return CrowdResult{}, err
			}
		}
		ratios = append(ratios, each[1]/each[0])
	}
	slices.Sort(ratios)
	few, many := &total[0], &total[1]
	fewCPU, manyCPU := few.each(), many.each()
	r := CrowdResult{
		Bench: "door_crowd", Op: op.name, Few: t.Few, Many: t.Many,
		FewP50: rig.Quantile(few.took, 0.5), ManyP50: rig.Quantile(many.took, 0.5), FewCPU: fewCPU, ManyCPU: manyCPU,
		RatioCPU:  rig.Digits(manyCPU[clientName]/fewCPU[clientName], 3),
		RatioCPUs: [2]float64{rig.Digits(ratios[len(ratios)/4], 3), rig.Digits(ratios[len(ratios)*3/4], 3)},
	}
	r.RatioP50 = rig.Digits(r.ManyP50/r.FewP50, 3)
	return r, nil
}

// clientName is what the driver's own processor time is called.
const clientName = "client"

// use adds what the processes used since before.
func (s *spell) use(processes map[string]int, before map[string]time.Duration, own time.Duration) error {
	after, err := usedBy(processes)
	if err != nil {
		return err
	}
	if s.cpu == nil {
		s.cpu = make(map[string]time.Duration)
	}
	for name := range after {
		s.cpu[name] += after[name] - before[name]
	}
	s.cpu[clientName] += own
	return nil
}

// each is the processor time of one operation, in milliseconds.
func (s *spell) each() map[string]float64 {
	all := make(map[string]float64, len(s.cpu))
	for name, d := range s.cpu {
		all[name] = rig.Digits(float64(d.Microseconds())/1000/float64(len(s.took)), 4)
	}
	return all
}

// atOnce runs crowdFlight at a time for a while, and notes how long each took in
// times, if that is not nil.
func atOnce(ctx context.Context, run runner, most time.Duration, times *[]time.Duration) error {
	began := time.Now()
	took := make([][]time.Duration, crowdFlight)
	failed := make([]error, crowdFlight)
	var group sync.WaitGroup
	for i := range crowdFlight {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, most+patience)
			defer cancel()
			for n := i; time.Since(began) < most && failed[i] == nil; n += crowdFlight {
				start := time.Now()
				failed[i] = run(ctx, n)
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	group.Wait()
	if times != nil {
		*times = append(*times, slices.Concat(took...)...)
	}
	return errors.Join(failed...)
}
