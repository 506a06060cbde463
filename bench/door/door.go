// Package door measures what a user's program gets: it starts workflows and waits
// for their results through pkg/client, against a router and an executor that are
// processes of their own, on a Kafka that is warm. Beside it, in the same run, is
// the same load whose waiting is a bare reader of the event topic: what lies
// between the two is what the door costs.
package door

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/pkg/client"
	kafkatest "github.com/leat-io/leat/test/kafka"
)

// Options say what to measure. Programs, InFlight and Seconds are required.
type Options struct {
	Programs string   // folder with the programs router, projector and leat
	Brokers  []string // of a Kafka that runs; empty starts one, whose processor time is known then
	InFlight []int
	Seconds  float64 // a side and a number in flight
	Rounds   int     // the sides take turns this often; default 2
	Warm     time.Duration
	Crowd    []int // two sizes to compare, how many instances a type has; empty leaves it out
	Talk     func(format string, args ...any)
}

// Result is one line of output: one way to wait at one number in flight, beside
// the bare reader.
type Result struct {
	Bench     string  `json:"bench"`
	Side      string  `json:"side"` // direct: topics alone; projector: its API besides; api: that alone
	InFlight  int     `json:"in_flight"`
	PerSecond float64 `json:"wf_per_s"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	BareRate  float64 `json:"bare_wf_per_s"`
	BareP50   float64 `json:"bare_p50_ms"`
	BareP99   float64 `json:"bare_p99_ms"`
	Ratio     float64 `json:"ratio"` // of the two rates

	// Processor time that one workflow costs, by process, in milliseconds.
	CPU     map[string]float64 `json:"cpu_ms_per_wf"`
	BareCPU map[string]float64 `json:"bare_cpu_ms_per_wf"`
}

// DevResult is one line of output: the same through `leat dev` beside the real
// Kafka with its workers as processes, both by topics alone.
type DevResult struct {
	Bench     string  `json:"bench"`
	InFlight  int     `json:"in_flight"`
	PerSecond float64 `json:"wf_per_s"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	KafkaRate float64 `json:"kafka_wf_per_s"`
	KafkaP50  float64 `json:"kafka_p50_ms"`
	KafkaP99  float64 `json:"kafka_p99_ms"`
	Ratio     float64 `json:"ratio"` // of the two rates

	// Processor time that one workflow costs, by process, in milliseconds. dev is
	// broker, router and projector.
	CPU      map[string]float64 `json:"cpu_ms_per_wf"`
	KafkaCPU map[string]float64 `json:"kafka_cpu_ms_per_wf"`
}

// The workflow: three states in a row, each with a task that does nothing.
const (
	workflowType = "door"
	taskName     = "bench.door"
	definition   = `leat: v1
type: door
version: 1
initial: one
input: {type: object}
states:
  one: {invoke: {task: bench.door, input: {n: input.n}, onDone: two, onError: failed}}
  two: {invoke: {task: bench.door, input: {n: input.n}, onDone: three, onError: failed}}
  three: {invoke: {task: bench.door, input: {n: input.n}, onDone: done, onError: failed}}
  done: {type: final, output: {n: input.n}}
  failed: {type: final, outcome: failed}
`
)

const defaultWarm = 30 * time.Second

// Run measures every number in flight and gives each result to emit.
func Run(ctx context.Context, o Options, emit func(any) error) (err error) {
	if o.Rounds == 0 {
		o.Rounds = 2
	}
	if o.Warm == 0 {
		o.Warm = defaultWarm
	}
	cluster := &cluster{brokers: o.Brokers, prefix: fmt.Sprintf("door%d.", time.Now().UnixMilli())}
	if cluster.dir, err = os.MkdirTemp("", "leat-bench-door-*"); err != nil {
		return fmt.Errorf("make a folder for the programs: %w", err)
	}
	defer func() { err = errors.Join(err, cluster.stop()) }()
	if len(o.Brokers) == 0 {
		broker, err := kafkatest.Start(ctx, kafkatest.Options{JVM: []string{"-Xmx1g"}})
		if err != nil {
			return err
		}
		cluster.broker, cluster.brokers = broker, []string{broker.Addr()}
	}
	if err := cluster.deploy(ctx); err != nil {
		return fmt.Errorf("deploy: %w", err)
	}
	if err := cluster.start(ctx, o.Programs); err != nil {
		return err
	}
	if err := o.levels(ctx, cluster, emit); err != nil {
		return err
	}
	if len(o.Crowd) == 0 {
		return nil
	}
	return o.crowds(ctx, cluster, emit)
}

// levels measures every number in flight, with a `leat dev` beside the cluster.
func (o Options) levels(ctx context.Context, c *cluster, emit func(any) error) (err error) {
	embedded, err := startDev(ctx, o.Programs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, embedded.stop()) }()
	lanes := []lane{{bare, bare, c}, {direct, direct, c}, {projector, projector, c}, {alone, alone, c}, {dev, direct, embedded}}
	o.Talk("warming up for %v", o.Warm)
	for _, l := range lanes {
		if _, err := l.cluster.drive(ctx, l.side, 64, o.Warm/time.Duration(len(lanes))); err != nil {
			return fmt.Errorf("warm up %s: %w", l.name, err)
		}
	}
	for _, n := range o.InFlight {
		if err := o.level(ctx, lanes, n, emit); err != nil {
			return err
		}
	}
	return nil
}

// lane is a side on a cluster.
type lane struct {
	name, side string
	cluster    *cluster
}

// level has the lanes take turns at one number in flight.
func (o Options) level(ctx context.Context, lanes []lane, inFlight int, emit func(any) error) error {
	turn := time.Duration(o.Seconds / float64(o.Rounds) * float64(time.Second))
	total := make(map[string]*turned, len(lanes))
	for round := range o.Rounds {
		for i := range lanes {
			if round%2 == 1 { // a broker that gets faster favours no side
				i = len(lanes) - 1 - i
			}
			l := lanes[i]
			got, err := l.cluster.drive(ctx, l.side, inFlight, turn)
			if err != nil {
				return fmt.Errorf("%s at %d in flight: %w", l.name, inFlight, err)
			}
			o.Talk("%s at %d in flight: %.0f/s, p50 %.1f ms, p99 %.1f ms", l.name, inFlight, got.rate(), got.quantile(0.5), got.quantile(0.99))
			if total[l.name] == nil {
				total[l.name] = new(turned)
			}
			total[l.name].add(got)
		}
	}
	reader, user := total[bare], total[direct]
	for _, side := range []string{direct, projector, alone} {
		s := total[side]
		if err := emit(Result{
			Bench: "door", Side: side, InFlight: inFlight, PerSecond: rig.Digits(s.rate(), 1), P50: s.quantile(0.5), P99: s.quantile(0.99),
			BareRate: rig.Digits(reader.rate(), 1), BareP50: reader.quantile(0.5), BareP99: reader.quantile(0.99), Ratio: rig.Digits(s.rate()/reader.rate(), 3),
			CPU: s.each(), BareCPU: reader.each(),
		}); err != nil {
			return err
		}
	}
	d := total[dev]
	return emit(DevResult{
		Bench: "door_dev", InFlight: inFlight, PerSecond: rig.Digits(d.rate(), 1), P50: d.quantile(0.5), P99: d.quantile(0.99),
		KafkaRate: rig.Digits(user.rate(), 1), KafkaP50: user.quantile(0.5), KafkaP99: user.quantile(0.99), Ratio: rig.Digits(d.rate()/user.rate(), 3),
		CPU: d.each(), KafkaCPU: user.each(),
	})
}

// clientOf is how a user's program reaches the cluster.
func clientOf(brokers []string, prefix, api string) (*client.Client, error) {
	return client.New(client.Config{Brokers: brokers, Prefix: prefix, API: api, ClientID: "leat-bench"})
}
