package door

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/pkg/client"
)

// CrowdResult is one line of output: what one operation costs beside a few
// finished instances and beside many, in turns of the same process. Ratios are
// of many to few.
type CrowdResult struct {
	Bench string `json:"bench"`
	Op    string `json:"op"`   // wait: start and result; get; history: of 20 events that lie together
	Side  string `json:"side"` // direct or projector
	Few   int    `json:"few"`  // instances of the type, each with 3 events
	Many  int    `json:"many"`

	FewP50   float64 `json:"few_p50_ms"`
	ManyP50  float64 `json:"many_p50_ms"`
	RatioP50 float64 `json:"ratio_p50"`

	// Processor time of one operation by process, in milliseconds, and the ratio of
	// the client's. RatioCPUs are the quartiles of that ratio over the rounds: how
	// far they are apart is the noise.
	FewCPU    map[string]float64 `json:"few_cpu_ms"`
	ManyCPU   map[string]float64 `json:"many_cpu_ms"`
	RatioCPU  float64            `json:"ratio_cpu"`
	RatioCPUs [2]float64         `json:"ratio_cpu_quartiles"`
}

// The workflow types of the crowds, and the one whose instances they are copies of.
const (
	templateType = "crowd"
	fewType      = "few"
	manyType     = "many"
)

// crowdDefinition is the door's workflow when its input says so. Other instances
// are finished at once, after as many facts as they are asked for.
const crowdDefinition = `leat: v1
type: %s
version: 1
initial: choosing
input: {type: object}
data: {turns: {type: long, default: 0}}
states:
  choosing:
    always:
      - {guard: input.wait, target: one}
      - {guard: data.turns < input.turns, target: choosing, actions: [{emit: turned}, {assign: {turns: data.turns + 1}}]}
      - {target: done}
  one: {invoke: {task: bench.door, input: {n: input.n}, onDone: two, onError: failed}}
  two: {invoke: {task: bench.door, input: {n: input.n}, onDone: three, onError: failed}}
  three: {invoke: {task: bench.door, input: {n: input.n}, onDone: done, onError: failed}}
  done: {type: final, output: {n: input.n}}
  failed: {type: final, outcome: failed}
`

// crowdInput starts an instance of the crowds' types.
type crowdInput struct {
	Wait  bool `json:"wait"`
	Turns int  `json:"turns"`
	N     int  `json:"n"`
}

// longHistory is how many events the instance has whose history is read.
const longHistory = 20

// crowdLimit is how long the programs may take to read a crowd.
const crowdLimit = 15 * time.Minute

// crowds fills two types, and measures what is asked of the one and the other.
func (o Options) crowds(ctx context.Context, c *cluster, emit func(any) error) error {
	templates, err := c.templates(ctx)
	if err != nil {
		return err
	}
	for _, crowd := range []struct {
		name string
		size int
	}{{fewType, o.Crowd[0]}, {manyType, o.Crowd[1]}} {
		began := time.Now()
		if err := c.fill(ctx, crowd.name, crowd.size, templates); err != nil {
			return fmt.Errorf("fill %s: %w", crowd.name, err)
		}
		written := time.Since(began)
		if err := c.awaitCrowd(ctx, crowd.name, crowd.size); err != nil {
			return fmt.Errorf("read %s: %w", crowd.name, err)
		}
		o.Talk("%d instances of %s: written in %.1f s, read by router and projector in %.1f s more", crowd.size, crowd.name, written.Seconds(), (time.Since(began) - written).Seconds())
	}
	return o.driveCrowds(ctx, c, emit)
}

// templates are the instances that the crowds are copies of: the engine runs them.
func (c *cluster) templates(ctx context.Context) (t templates, err error) {
	user, err := clientOf(c.brokers, c.prefix, "")
	if err != nil {
		return t, err
	}
	defer user.Close()
	if err := deployCrowd(ctx, user, templateType); err != nil {
		return t, err
	}
	for _, one := range []struct {
		to    *template
		turns int
	}{{&t.short, 0}, {&t.long, longHistory - 3}} {
		run, err := user.Start(ctx, client.StartRequest{Type: templateType, Key: strconv.Itoa(one.turns), Input: crowdInput{Turns: one.turns}})
		if err != nil {
			return t, err
		}
		if one.to.state, err = run.Wait(ctx); err != nil {
			return t, err
		}
		if one.to.history, err = user.History(ctx, templateType, one.to.state.Key, client.HistoryRequest{}); err != nil {
			return t, err
		}
	}
	if n := len(t.long.history); n != longHistory {
		return t, fmt.Errorf("the long history has %d events, want %d", n, longHistory)
	}
	return t, nil
}

func deployCrowd(ctx context.Context, user *client.Client, workflowType string) error {
	_, err := user.Deploy(ctx, client.DeployRequest{
		Name: workflowType, Source: fmt.Appendf(nil, crowdDefinition, workflowType), Partitions: partitions,
	})
	return err
}

// awaitCrowd deploys the type of a crowd that is written, and waits until the
// projector knows all of it and the router answers for its first and its last.
func (c *cluster) awaitCrowd(ctx context.Context, workflowType string, size int) error {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	user, err := clientOf(c.brokers, c.prefix, c.api)
	if err != nil {
		return err
	}
	defer user.Close()
	direct, err := clientOf(c.brokers, c.prefix, "")
	if err != nil {
		return err
	}
	defer direct.Close()
	if err := deployCrowd(ctx, direct, workflowType); err != nil {
		return err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		counts, err := user.Counts(ctx, workflowType)
		if err == nil && counts.Instances >= int64(size) {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the projector has %d of %d instances: %w", counts.Instances, size, errors.Join(ctx.Err(), err))
		}
	}
	for i := range min(size, 16*partitions) { // of every partition
		for {
			_, err := direct.Get(ctx, workflowType, crowdKey(i), client.GetOptions{})
			if err == nil {
				break
			}
			if !errors.Is(err, client.ErrNoRouter) || ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

// driveCrowds measures in a process of its own.
func (o Options) driveCrowds(ctx context.Context, c *cluster, emit func(any) error) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	task := crowdTask{
		Brokers: c.brokers, Prefix: c.prefix, API: c.api, Few: o.Crowd[0], Many: o.Crowd[1],
		Turn: time.Duration(o.Seconds / crowdRounds * float64(time.Second)), Processes: c.processes(),
	}
	text, err := json.Marshal(task)
	if err != nil {
		return fmt.Errorf("write the driver's task: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, crowdCommand, string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the driver: %w", err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && err == nil; {
		var r CrowdResult
		if err = json.Unmarshal(lines.Bytes(), &r); err == nil {
			err = emit(r)
		}
	}
	return errors.Join(err, cmd.Wait())
}

// processes are the ids of what runs beside the driver, by name.
func (c *cluster) processes() map[string]int {
	all := make(map[string]int)
	for _, p := range c.programs {
		all[p.name] = p.cmd.Process.Pid
	}
	if c.broker != nil {
		all["broker"] = c.broker.Pid()
	}
	return all
}

// usedBy is the processor time that processes have used until now.
func usedBy(processes map[string]int) (map[string]time.Duration, error) {
	all := make(map[string]time.Duration, len(processes))
	for name, pid := range processes {
		used, err := rig.ProcessTime(pid)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = used
	}
	return all, nil
}
