package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

const usage = `quakes: a week of real earthquakes as durable workflows

  quakes run                                   on a leat dev of its own, until Ctrl-C
  quakes run --once --data DIR                 ends with the results; the last line is JSON
  quakes run --brokers HOST:PORT --api URL     on a cluster with routers and a projector

On a cluster, the same in steps:
  quakes worker --brokers HOST:PORT --out DIR  does the tasks until Ctrl-C; start as many as you like
  quakes start --brokers HOST:PORT             deploys quake.yaml, starts and signals every quake
  quakes wait --brokers HOST:PORT              waits for all to finish and prints the results

For bin/executor --exec:
  quakes task quakes.classify [DIR]            one task: input on standard input, result on standard output

quakes COMMAND --help lists the flags.
`

// options of all commands. Each command has the flags that it uses.
type options struct {
	brokers      string
	api          string
	data         string
	out          string
	once         bool
	reviewWithin time.Duration
	timeout      time.Duration
	concurrency  int
	partitions   int32 // of the type on a leat dev of our own
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends at once
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quakes:", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is 2 for a wrong command line, and 65 for a task that will never end
// well, which is what bin/executor --exec wants to know.
func exitCode(err error) int {
	var failure *events.Error
	switch {
	case errors.Is(err, errUsage):
		return 2
	case errors.As(err, &failure) && !failure.Retryable:
		return 65
	default:
		return 1
	}
}

var errUsage = errors.New("quakes --help shows what can be asked")

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	var o options
	f := flag.NewFlagSet("quakes "+args[0], flag.ContinueOnError)
	f.SetOutput(io.Discard)
	var do func(context.Context, options) error
	switch args[0] {
	case "help", "-h", "-help", "--help":
		fmt.Print(usage)
		return nil
	case "run":
		do = run
		f.StringVar(&o.brokers, "brokers", "", "Kafka, host:port,...; default: a leat dev of its own")
		f.StringVar(&o.api, "api", "", "URL of a projector; default: that of leat dev, with --brokers the topics themselves")
		f.StringVar(&o.data, "data", "data/quakes", "directory of leat dev; it is used again by the next run")
		f.StringVar(&o.out, "out", "", "directory of the effects; default: out in --data")
		f.BoolVar(&o.once, "once", false, "end after the results")
		f.DurationVar(&o.reviewWithin, "review-within", 5*time.Second, "how long the desk may take")
		f.IntVar(&o.concurrency, "concurrency", 0, "tasks at once; default 64")
	case "worker":
		do = worker
		f.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "Kafka, host:port,...")
		f.StringVar(&o.out, "out", "data/quakes/out", "directory of the effects; workers on one machine may share it")
		f.IntVar(&o.concurrency, "concurrency", 0, "tasks at once; default 64")
	case "start":
		do = start
		f.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "Kafka, host:port,...")
		f.DurationVar(&o.reviewWithin, "review-within", 5*time.Second, "how long the desk may take")
	case "wait":
		do = wait
		f.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "Kafka, host:port,...")
		f.StringVar(&o.api, "api", "", "URL of a projector; default: reads the topics")
		f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "give up after this long")
	case "task":
		return task(args[1:], os.Stdin, os.Stdout)
	default:
		return fmt.Errorf("there is no command %q: %w", args[0], errUsage)
	}
	switch err := f.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf("Flags of quakes %s:\n", args[0])
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is one argument too many: %w", f.Arg(0), errUsage)
	}
	if o.reviewWithin < 0 {
		return fmt.Errorf("--review-within %s is negative: %w", o.reviewWithin, errUsage)
	}
	return do(ctx, o)
}

func (o options) seeds() []string { return strings.Split(o.brokers, ",") }

// task does one task for an executor that runs programs.
func task(args []string, in io.Reader, result io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("which task? %w", errUsage)
	}
	out := "data/quakes/out"
	if len(args) > 1 {
		out = args[1]
	}
	d, err := openDesk(out)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	do, ok := d.programs()[args[0]]
	if !ok {
		return fmt.Errorf("there is no task %q: %w", args[0], errUsage)
	}
	input, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	answer, err := do(executor.Task{Task: events.Task{
		TaskName: args[0], IdempotencyKey: cmp.Or(os.Getenv("LEAT_IDEMPOTENCY_KEY"), "by-hand"), Input: input,
	}})
	if err != nil {
		return err
	}
	return writeJSON(result, answer)
}
