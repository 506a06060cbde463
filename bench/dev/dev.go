// Package dev measures `leat dev` as its users meet it: how long a process
// takes from its start to the first finished workflow, what memory it has then,
// and what it costs while nothing happens.
package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Options say what to measure.
type Options struct {
	Program string        // the leat binary
	Idle    time.Duration // how long the idle process is watched
	Talk    func(format string, args ...any)
}

// Result is one line of output.
type Result struct {
	Bench string  `json:"bench"`
	First float64 `json:"first_workflow_ms"`
	RSS   float64 `json:"rss_mb"`
	Idle  float64 `json:"idle_cpu_percent"` // of one core

	IdleRSS float64 `json:"idle_rss_mb"`
	Again   float64 `json:"again_ms"` // the same after a restart on the same data
}

// definition is a workflow of one task, which a program of `leat dev --exec` runs.
const definition = `leat: v1
type: hello
version: 1
initial: greeting
states:
  greeting: {invoke: {task: bench.hello, onDone: done, onError: failed}}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// Run starts the program twice on one new data directory.
func Run(ctx context.Context, o Options, emit func(any) error) error {
	if _, err := os.Stat(o.Program); err != nil {
		return fmt.Errorf("no program to measure, `make build` makes it: %w", err)
	}
	data, err := os.MkdirTemp("", "leat-bench-dev-*")
	if err != nil {
		return fmt.Errorf("make a data directory: %w", err)
	}
	defer os.RemoveAll(data)
	r := Result{Bench: "dev"}
	p, err := start(ctx, o, data)
	if err != nil {
		return err
	}
	if r.First, err = p.firstWorkflow(ctx); err == nil {
		r.RSS = p.rss()
		o.Talk("first workflow after %.0f ms, %.1f MB; watching it idle for %v", r.First, r.RSS, o.Idle)
		r.Idle, err = p.idle(ctx, o.Idle)
		r.IdleRSS = p.rss()
	}
	if err = errors.Join(err, p.stop()); err != nil {
		return err
	}
	if p, err = start(ctx, o, data); err != nil {
		return err
	}
	r.Again, err = p.firstWorkflow(ctx)
	if err = errors.Join(err, p.stop()); err != nil {
		return err
	}
	return emit(r)
}

// process is a running `leat dev`.
type process struct {
	cmd    *exec.Cmd
	began  time.Time
	broker string
	log    *os.File
}

func start(ctx context.Context, o Options, data string) (*process, error) {
	broker, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(data + ".log")
	if err != nil {
		return nil, fmt.Errorf("make a log: %w", err)
	}
	cmd := exec.Command(o.Program, "dev", "--data", data, "--http", "127.0.0.1:0", "--kafka", broker, "--exec", "bench.hello=true")
	cmd.Stdout, cmd.Stderr = log, log
	p := &process{cmd: cmd, began: time.Now(), broker: broker, log: log}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Program, err)
	}
	return p, nil
}

func freeAddr(ctx context.Context) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// firstWorkflow deploys a definition and starts an instance as soon as the
// broker listens, and returns how long after the process's start it had ended.
func (p *process) firstWorkflow(ctx context.Context) (ms float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.awaitPort(ctx); err != nil {
		return 0, p.explain(err)
	}
	c := kafka.Config{Brokers: []string{p.broker}, ClientID: "leat-bench"}
	names := topics.Names{}
	id, err := deployAndStart(ctx, c, names)
	if err != nil {
		return 0, p.explain(err)
	}
	fetcher, err := kafka.NewFetcher(c)
	if err != nil {
		return 0, err
	}
	defer fetcher.Close()
	fetcher.Add(kafka.TopicPartition{Topic: names.Events("hello"), Partition: topics.Partition([]byte(id.String()), topics.DevPartitions)}, 0)
	for {
		records, err := fetcher.Poll(ctx, 100)
		if ctx.Err() != nil || err != nil {
			return 0, p.explain(errors.Join(err, ctx.Err()))
		}
		for _, r := range records {
			e, err := avro.DecodeEvent(r.Value)
			if err != nil {
				return 0, err
			}
			if e.InstanceID == id && e.EventType == events.EventWorkflowCompleted {
				return float64(time.Since(p.began).Microseconds()/100) / 10, nil
			}
		}
	}
}

func (p *process) awaitPort(ctx context.Context) error {
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", p.broker)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the broker does not listen: %w", err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// deployAndStart writes a definition and a start command, as JSON, the way a
// program that knows only the topics would.
func deployAndStart(ctx context.Context, c kafka.Config, names topics.Names) (events.UUID, error) {
	admin, err := kafka.NewAdmin(c)
	if err != nil {
		return events.Nil, err
	}
	defer admin.Close()
	specs := append(names.Shared(), append(names.Type("hello", topics.DevPartitions), names.Queue("bench", topics.DevPartitions)...)...)
	if err := admin.Provision(ctx, -1, specs...); err != nil {
		return events.Nil, err
	}
	value, err := avro.EncodeDefinition(&events.DefinitionRecord{
		WorkflowType: "hello", Version: 1, Source: definition, Partitions: topics.DevPartitions, DeployedAt: events.Instant(time.Now()),
	})
	if err != nil {
		return events.Nil, err
	}
	producer, err := kafka.NewProducer(c)
	if err != nil {
		return events.Nil, err
	}
	defer producer.Close()
	if err := producer.Send(ctx, kafka.NewRecord(names.Definitions(), []byte("hello@1"), value)); err != nil {
		return events.Nil, err
	}
	key := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	id := events.InstanceIDForKey("hello", key)
	command := fmt.Appendf(nil, `{"command":"start","type":"hello","key":%q}`, key)
	return id, producer.Send(ctx, kafka.NewRecord(names.Commands("hello"), []byte(id.String()), command))
}

// rss is the resident memory of the process, in MB of 10^6 bytes; 0 where
// /proc does not say it.
func (p *process) rss() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		pages, _ := strconv.ParseFloat(fields[1], 64)
		return float64(int(pages*float64(os.Getpagesize())/1e5)) / 10
	}
	return 0
}

// idle is how much of a core the process uses while nobody asks it anything.
func (p *process) idle(ctx context.Context, d time.Duration) (percent float64, err error) {
	const settle = 2 * time.Second
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	before := p.ticks()
	if err := pause(ctx, d); err != nil {
		return 0, err
	}
	const ticksPerSecond = 100 // USER_HZ, the same on every Linux
	used := float64(p.ticks()-before) / ticksPerSecond
	return float64(int(used/d.Seconds()*1e4)) / 100, nil
}

// ticks is the processor time of the process, in hundredths of a second.
func (p *process) ticks() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	const user, system = 11, 12 // counted from the state
	if len(fields) <= system {
		return 0
	}
	u, _ := strconv.Atoi(fields[user])
	s, _ := strconv.Atoi(fields[system])
	return u + s
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// stop ends the process as Ctrl-C does.
func (p *process) stop() error {
	defer os.RemoveAll(p.log.Name())
	defer p.log.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return p.explain(err)
		}
		return nil
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		return p.explain(errors.New("leat dev did not stop within 20 s"))
	}
}

// explain adds what the process has said.
func (p *process) explain(err error) error {
	said, _ := os.ReadFile(p.log.Name())
	return fmt.Errorf("%w; leat dev said:\n%s", err, said)
}
