// Bench runs Leat's benchmarks and prints one JSON object a line; what it says
// to people goes to standard error. `make bench` runs all of them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/leat-io/leat/bench/dev"
	"github.com/leat-io/leat/bench/door"
	"github.com/leat-io/leat/bench/gobench"
	"github.com/leat-io/leat/bench/neighbours"
	"github.com/leat-io/leat/bench/timers"
	"github.com/leat-io/leat/bench/workflow3"
	kafkatest "github.com/leat-io/leat/test/kafka"
)

// options are the command line.
type options struct {
	brokers  string
	seconds  float64
	inFlight string
	rounds   int
	parts    int
	profile  string
	leat     string
	programs string
	warm     time.Duration
	crowd    string
	only     []string
}

// part is one benchmark: it gives its lines to emit.
type part struct {
	name string
	run  func(ctx context.Context, o options, emit func(any) error) error
}

var parts = []part{
	{"door", runDoor},
	{"workflow3", runWorkflow3},
	{"functions", runFunctions},
	{"dev", runDev},
	{"timers", runTimers},
	{"neighbours", runNeighbours},
}

func main() {
	if mine, err := door.Child(os.Args[1:]); mine {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	talk("%s/%s, %d cores, %s; load %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), load())
	out := json.NewEncoder(os.Stdout)
	for _, p := range parts {
		if len(o.only) > 0 && !slices.Contains(o.only, p.name) {
			continue
		}
		talk("== %s", p.name)
		if err := p.run(ctx, o, out.Encode); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func parse(args []string) (options, error) {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	var o options
	var only string
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.StringVar(&o.brokers, "brokers", "", "Kafka to use, host:port,...; default: a real one from its jars, started for the run")
	flags.Float64Var(&o.seconds, "seconds", 10, "how long a side runs at one number in flight; benchmarks of functions take a tenth of it each")
	flags.StringVar(&o.inFlight, "in-flight", "1,32,128,512", "workflows in flight, one number after the other; door takes none too")
	flags.IntVar(&o.rounds, "rounds", 2, "how often engine and bare loop take turns")
	flags.IntVar(&o.parts, "partitions", 8, "of every topic")
	flags.StringVar(&o.profile, "profile", "", "directory for CPU profiles of workflow3, one a turn, and of neighbours, one a case")
	flags.StringVar(&o.programs, "programs", "bin", "folder with the programs that door measures: router, projector and leat")
	flags.DurationVar(&o.warm, "warm", 30*time.Second, "how long door warms the broker up")
	flags.StringVar(&o.crowd, "crowd", "1000,100000", "door: two numbers of finished instances, beside which waits and reads are compared; none leaves it out")
	flags.StringVar(&o.leat, "leat", "bin/leat", "program that dev measures")
	flags.StringVar(&only, "only", "", "benchmarks to run, of "+strings.Join(names, ",")+"; default all")
	_ = flags.Parse(args) // it exits on an error
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("there is no benchmark %q: -only takes %s", name, strings.Join(names, ", "))
		}
	}
	return o, nil
}

func runDoor(ctx context.Context, o options, emit func(any) error) error {
	d := door.Options{Programs: o.programs, Seconds: o.seconds, Rounds: o.rounds, Warm: o.warm, Talk: talk}
	var err error
	if d.InFlight, err = numbers("-in-flight", o.inFlight); err != nil {
		return err
	}
	if d.Crowd, err = numbers("-crowd", o.crowd); err != nil {
		return err
	}
	if len(d.Crowd) != 0 && len(d.Crowd) != 2 {
		return fmt.Errorf("-crowd: %q is not two numbers, such as 1000,1000000", o.crowd)
	}
	if o.brokers != "" {
		d.Brokers = strings.Split(o.brokers, ",")
	}
	return door.Run(ctx, d, emit)
}

// numbers reads a flag that has some.
func numbers(name, text string) (all []int, err error) {
	if text == "none" {
		return nil, nil
	}
	for text := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s: %q is not a positive number", name, text)
		}
		all = append(all, n)
	}
	return all, nil
}

func runWorkflow3(ctx context.Context, o options, emit func(any) error) error {
	w := workflow3.Options{
		Seconds: o.seconds, Rounds: o.rounds, Partitions: int32(o.parts), Profile: o.profile, Talk: talk,
	}
	var err error
	if w.InFlight, err = numbers("-in-flight", o.inFlight); err != nil {
		return err
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return fmt.Errorf("make folder for profiles: %w", err)
		}
	}
	if o.brokers != "" {
		w.Brokers = strings.Split(o.brokers, ",")
		return workflow3.Run(ctx, w, emit)
	}
	broker, err := kafkatest.Start(ctx, kafkatest.Options{JVM: []string{"-Xmx1g"}})
	if err != nil {
		return err
	}
	defer broker.Close()
	w.Brokers = []string{broker.Addr()}
	return workflow3.Run(ctx, w, emit)
}

// runFunctions runs the Go benchmarks of what a command costs the router.
func runFunctions(ctx context.Context, o options, emit func(any) error) error {
	return gobench.Run(ctx, gobench.Suite{
		Packages: []string{"./internal/router", "./internal/store", "./internal/avro"},
		Bench:    "^Benchmark(DecideEncode|Command|Restore|Store.*|Event|Snapshot|Task)$", Seconds: o.seconds / 10,
	}, talk, emit)
}

func runDev(ctx context.Context, o options, emit func(any) error) error {
	return dev.Run(ctx, dev.Options{Program: o.leat, Idle: time.Duration(o.seconds * float64(time.Second)), Talk: talk}, emit)
}

// runTimers measures timers that are pending, in the router's store, and then
// those that fire.
func runTimers(ctx context.Context, o options, emit func(any) error) error {
	if err := gobench.Run(ctx, gobench.Suite{
		Packages: []string{"./internal/router"}, Bench: "^BenchmarkTimers$", Seconds: o.seconds / 10,
	}, talk, emit); err != nil {
		return err
	}
	return timers.Run(ctx, timers.Options{Spread: time.Duration(o.seconds * float64(time.Second)), Talk: talk}, emit)
}

func runNeighbours(ctx context.Context, o options, emit func(any) error) error {
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return fmt.Errorf("make folder for profiles: %w", err)
		}
	}
	return neighbours.Run(ctx, neighbours.Options{Profile: o.profile, Talk: talk}, emit)
}

// talk says something to people.
func talk(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// load is the machine's load average, so that a reader can tell a busy machine.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
