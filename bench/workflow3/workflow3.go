// Package workflow3 measures how many workflows of three no-op steps a second
// the engine runs on one Kafka, and next to it, in the same run, the bare loop:
// the same records in the same transactions without codec, store and decisions.
// What lies between the two is what Leat itself costs.
package workflow3

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/leat-io/leat/bench/rig"
	"github.com/leat-io/leat/internal/kafka"
)

// Options say what to measure. Brokers, InFlight and Seconds are required.
type Options struct {
	Brokers    []string
	InFlight   []int
	Seconds    float64 // a side and a number in flight
	Rounds     int     // the two sides take turns this often; default 2
	Partitions int32   // of every topic; default 8, as in `leat dev`
	Profile    string  // directory for a CPU profile of each turn; "" for none
	Talk       func(format string, args ...any)
}

// Result is one line of output: the engine, the bare loop and their ratio at
// one number of workflows in flight.
type Result struct {
	Bench     string  `json:"bench"`
	InFlight  int     `json:"in_flight"`
	PerSecond float64 `json:"wf_per_s"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	BareRate  float64 `json:"bare_wf_per_s"`
	Ratio     float64 `json:"ratio"`

	BareP50 float64   `json:"bare_p50_ms"`
	BareP99 float64   `json:"bare_p99_ms"`
	Ratios  []float64 `json:"ratios"` // of each round: how far they are apart is the noise

	// What one workflow costs: processor time of this process (router, executor
	// and driver; the broker is another process) and bytes in the broker's logs.
	CPU       float64 `json:"cpu_us_per_wf"`
	BareCPU   float64 `json:"bare_cpu_us_per_wf"`
	Bytes     float64 `json:"log_bytes_per_wf"`
	BareBytes float64 `json:"bare_log_bytes_per_wf"`
	// Commands that one transaction decides, and how long it takes to commit.
	Batch      float64 `json:"commands_per_txn"`
	BareBatch  float64 `json:"bare_commands_per_txn"`
	Commit     float64 `json:"commit_ms"`
	BareCommit float64 `json:"bare_commit_ms"`
}

// side is the engine or the bare loop, running and driven the same way.
type side struct {
	name   string
	driver *driver
	txns   *txnCounter
	topics []string
}

// Run measures every number in flight and gives each result to emit.
func Run(ctx context.Context, o Options, emit func(any) error) (err error) {
	if o.Rounds == 0 {
		o.Rounds = 2
	}
	if o.Partitions == 0 {
		o.Partitions = 8
	}
	prefix := fmt.Sprintf("bench%d.", time.Now().UnixMilli())
	config := kafka.Config{Brokers: o.Brokers, ClientID: "leat-bench"}
	cluster, err := newCluster(o.Brokers, prefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.close()) }()

	running, stop := context.WithCancel(ctx)
	defer stop()
	engine, err := startEngine(running, config, prefix, o.Partitions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.stop()) }()
	script, err := record(ctx, config, engine)
	if err != nil {
		return fmt.Errorf("record what a workflow writes: %w", err)
	}
	o.Talk("one workflow: %s", script)
	bare, err := startBare(running, config, prefix, o.Partitions, script)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()

	sides := []*side{engine.side, bare.side}
	for _, s := range sides {
		o.Talk("warming up: %s", s.name)
		if _, err := s.driver.run(ctx, 64, warmUp); err != nil {
			return fmt.Errorf("warm up %s: %w", s.name, err)
		}
	}
	for _, n := range o.InFlight {
		result, err := o.level(ctx, cluster, sides, n)
		if err != nil {
			return err
		}
		if err := emit(result); err != nil {
			return err
		}
	}
	restored, err := engine.restore(ctx, config)
	if err != nil {
		return fmt.Errorf("restore what the run left: %w", err)
	}
	return emit(restored)
}

// warmUp is long enough for the broker's compiler to have seen both sides.
const warmUp = 8 * time.Second

// level lets the sides take turns at one number in flight.
func (o Options) level(ctx context.Context, c *cluster, sides []*side, inFlight int) (Result, error) {
	turn := time.Duration(o.Seconds / float64(o.Rounds) * float64(time.Second))
	total := make([]sample, len(sides))
	var ratios []float64
	for round := range o.Rounds {
		rates := make([]float64, len(sides))
		for i := range sides {
			if round%2 == 1 { // ABBA: a broker that gets faster favours neither
				i = len(sides) - 1 - i
			}
			s := sides[i]
			got, err := o.turn(ctx, c, s, inFlight, round, turn)
			if err != nil {
				return Result{}, fmt.Errorf("%s at %d in flight: %w", s.name, inFlight, err)
			}
			rates[i] = got.rate()
			o.Talk("%s at %d in flight: %.0f/s, p50 %.1f ms, p99 %.1f ms",
				s.name, inFlight, got.rate(), got.quantile(0.5), got.quantile(0.99))
			total[i].add(got)
		}
		ratios = append(ratios, rig.Digits(rates[0]/rates[1], 3))
	}
	e, b := &total[0], &total[1]
	return Result{
		Bench: "workflow3", InFlight: inFlight, PerSecond: rig.Digits(e.rate(), 1), P50: e.quantile(0.5), P99: e.quantile(0.99),
		BareRate: rig.Digits(b.rate(), 1), Ratio: rig.Digits(e.rate()/b.rate(), 3),
		BareP50: b.quantile(0.5), BareP99: b.quantile(0.99), Ratios: ratios,
		CPU: e.each(float64(e.cpu.Microseconds())), BareCPU: b.each(float64(b.cpu.Microseconds())),
		Bytes: e.each(float64(e.bytes)), BareBytes: b.each(float64(b.bytes)),
		Batch: e.txns.batch(), BareBatch: b.txns.batch(), Commit: e.txns.commit(), BareCommit: b.txns.commit(),
	}, nil
}

func (o Options) turn(ctx context.Context, c *cluster, s *side, inFlight, round int, d time.Duration) (sample, error) {
	if o.Profile != "" {
		name := fmt.Sprintf("workflow3-%s-%d-%d.cpu", s.name, inFlight, round)
		file, err := os.Create(filepath.Join(o.Profile, name))
		if err != nil {
			return sample{}, fmt.Errorf("make profile: %w", err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return sample{}, fmt.Errorf("profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	size, err := c.size(ctx, s.topics)
	if err != nil {
		return sample{}, err
	}
	runtime.GC() // what the other side left is not this side's cost
	cpu, txns := rig.OwnTime(), s.txns.read()
	got, err := s.driver.run(ctx, inFlight, d)
	if err != nil {
		return sample{}, err
	}
	got.cpu, got.txns = rig.OwnTime()-cpu, s.txns.read().minus(txns)
	after, err := c.size(ctx, s.topics)
	got.bytes = after - size
	return got, err
}

// sample is what one or more turns of a side gave.
type sample struct {
	took      time.Duration
	latencies []time.Duration // of the workflows that ended in time
	all       int             // workflows, with those that ended after the turn
	cpu       time.Duration
	bytes     int64
	txns      txns
}

func (s *sample) add(o sample) {
	s.took += o.took
	s.latencies = append(s.latencies, o.latencies...)
	s.all += o.all
	s.cpu += o.cpu
	s.bytes += o.bytes
	s.txns = s.txns.plus(o.txns)
}

func (s *sample) rate() float64 { return float64(len(s.latencies)) / s.took.Seconds() }

func (s *sample) each(total float64) float64 { return rig.Digits(total/float64(s.all), 0) }

// quantile is in milliseconds.
func (s *sample) quantile(q float64) float64 { return rig.Quantile(s.latencies, q) }
