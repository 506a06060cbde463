package door

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/pkg/client"
	kafkatest "github.com/leat-io/leat/test/kafka"
)

// cluster is a Kafka and the programs that work on it.
type cluster struct {
	brokers  []string
	broker   *kafkatest.Broker // nil: somebody else's
	prefix   string
	dir      string
	programs []*program
	api      string // the projector's address
}

// program is a process that runs for the whole benchmark.
type program struct {
	name string
	cmd  *exec.Cmd
	done chan error
}

// turned is what turns of one side gave.
type turned struct {
	report
	cpu map[string]time.Duration // by process
}

// partitions of every topic, as in `leat dev`.
const partitions = 8

// startLimit is how long a program may take until it is ready.
const startLimit = time.Minute

func (c *cluster) deploy(ctx context.Context) error {
	user, err := clientOf(c.brokers, c.prefix, "")
	if err != nil {
		return err
	}
	defer user.Close()
	_, err = user.Deploy(ctx, client.DeployRequest{Name: workflowType, Source: []byte(definition), Partitions: partitions})
	return err
}

// start runs the router, the projector and an executor.
func (c *cluster) start(ctx context.Context, programs string) error {
	kafka := []string{"--brokers", strings.Join(c.brokers, ","), "--prefix", c.prefix, "--log-level", "warn"}
	for _, role := range []string{"router", "projector"} {
		ops, err := rig.FreeAddr()
		if err != nil {
			return err
		}
		args := append(slices.Clone(kafka), "--data", filepath.Join(c.dir, role), "--ops-addr", ops)
		if role == "router" {
			args = append(args, "--slot", "bench")
		} else {
			api, err := rig.FreeAddr()
			if err != nil {
				return err
			}
			c.api = "http://" + api
			args = append(args, "--http", api)
		}
		if err := c.run(role, filepath.Join(programs, role), args...); err != nil {
			return err
		}
		if err := ready(ctx, "http://"+ops+"/readyz"); err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
	}
	return c.work()
}

// startDev runs `leat dev` with an executor beside it, and deploys the workflow.
func startDev(ctx context.Context, programs string) (c *cluster, err error) {
	c = new(cluster)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	if c.dir, err = os.MkdirTemp("", "leat-bench-door-dev-*"); err != nil {
		return c, fmt.Errorf("make a folder for leat dev: %w", err)
	}
	kafka, err := rig.FreeAddr()
	if err != nil {
		return c, err
	}
	api, err := rig.FreeAddr()
	if err != nil {
		return c, err
	}
	c.brokers, c.api = []string{kafka}, "http://"+api
	args := []string{"dev", "--data", filepath.Join(c.dir, "data"), "--kafka", kafka, "--http", api, "--workers", "127.0.0.1:0"}
	if err := c.run(dev, filepath.Join(programs, "leat"), args...); err != nil {
		return c, err
	}
	if err := ready(ctx, c.api+"/api/v1/status"); err != nil {
		return c, fmt.Errorf("leat dev: %w", err)
	}
	if err := c.deploy(ctx); err != nil {
		return c, fmt.Errorf("deploy on leat dev: %w", err)
	}
	return c, c.work()
}

// work runs an executor.
func (c *cluster) work() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return c.run("executor", self, workCommand, strings.Join(c.brokers, ","), c.prefix)
}

func (c *cluster) run(name, path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr // on standard output leat dev greets its user
	p := &program{name: name, cmd: cmd, done: make(chan error, 1)}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s, which `make build` makes: %w", path, err)
	}
	go func() { p.done <- cmd.Wait() }()
	c.programs = append(c.programs, p)
	return nil
}

// stop ends the programs and removes what they left.
func (c *cluster) stop() (err error) {
	for _, p := range slices.Backward(c.programs) {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case ended := <-p.done:
			if ended != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", p.name, ended))
			}
		case <-time.After(startLimit):
			_ = p.cmd.Process.Kill()
			err = errors.Join(err, fmt.Errorf("%s does not end", p.name))
		}
	}
	if c.broker != nil {
		c.broker.Close()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// drive runs one turn of a side in a process of its own.
func (c *cluster) drive(ctx context.Context, side string, inFlight int, most time.Duration) (turned, error) {
	self, err := os.Executable()
	if err != nil {
		return turned{}, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, driveCommand, side, strings.Join(c.brokers, ","), c.prefix, c.api, strconv.Itoa(inFlight), most.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return turned{}, fmt.Errorf("pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return turned{}, fmt.Errorf("start the driver: %w", err)
	}
	t, err := c.follow(out)
	if ended := cmd.Wait(); err == nil {
		err = ended
	}
	return t, err
}

// follow reads what a driver says: one line when it begins, and one when it ends.
// What the processes use between the two is the cost.
func (c *cluster) follow(out io.Reader) (t turned, err error) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20) // every latency
	if !lines.Scan() {
		return t, errors.New("the driver says nothing")
	}
	before, err := usedBy(c.processes())
	if err != nil {
		return t, err
	}
	if !lines.Scan() {
		return t, errors.Join(errors.New("the driver does not end well"), lines.Err())
	}
	if t.cpu, err = usedBy(c.processes()); err != nil {
		return t, err
	}
	if err := json.Unmarshal(lines.Bytes(), &t.report); err != nil {
		return t, fmt.Errorf("read the driver's report: %w", err)
	}
	for name := range t.cpu {
		t.cpu[name] -= before[name]
	}
	t.cpu[clientName] = t.CPU
	return t, nil
}

// add takes another turn in.
func (t *turned) add(o turned) {
	t.Seconds += o.Seconds
	t.Micros = append(t.Micros, o.Micros...)
	if t.cpu == nil {
		t.cpu = make(map[string]time.Duration)
	}
	for name, d := range o.cpu {
		t.cpu[name] += d
	}
}

func (t *turned) rate() float64 { return float64(len(t.Micros)) / t.Seconds }

// quantile is in milliseconds.
func (t *turned) quantile(q float64) float64 {
	if len(t.Micros) == 0 {
		return 0
	}
	slices.Sort(t.Micros)
	return rig.Digits(float64(t.Micros[int(q*float64(len(t.Micros)-1))])/1000, 2)
}

// each is the processor time of a workflow by process, in milliseconds.
func (t *turned) each() map[string]float64 {
	all := make(map[string]float64)
	for name, d := range t.cpu {
		all[name] = rig.Digits(float64(d.Microseconds())/1000/float64(len(t.Micros)), 3)
	}
	return all
}

// ready waits until a program says that it works.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("ask %s: %w", url, err)
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not ready after %v: %w", startLimit, ctx.Err())
		}
	}
}
