package batch

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the flags of every example.
type options struct {
	brokers, api string
	data         string
	instances    int
	partitions   int
	stay         bool
	timeout      time.Duration
}

var errUsage = errors.New("--help lists the flags")

// Main is the program of an example.
func Main(b Batch) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends at once
	err := b.command(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "%s: %v\n", b.Name, err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", b.Name, err)
		os.Exit(1)
	}
}

func (b *Batch) command(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet(b.Name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.brokers, "brokers", "", "Kafka, host:port,..., with routers at work; default: a leat dev of its own")
	f.StringVar(&o.api, "api", "", "URL of a projector; default: that of leat dev, with --brokers the topics themselves")
	f.StringVar(&o.data, "data", filepath.Join("data", b.Name), "directory of leat dev and of the effects; the next run uses it again")
	f.IntVar(&o.instances, "instances", 50, "how many to run")
	f.IntVar(&o.partitions, "partitions", 0, "of the workflow type when it is new, fixed for its life; default 8 on leat dev, else 32")
	f.BoolVar(&o.stay, "stay", false, "keep leat dev running after the results, until Ctrl-C")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "give up after this long")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf("%s: %s\n\n", b.Name, b.About)
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is one argument too many: %w", f.Arg(0), errUsage)
	}
	if o.instances < 1 || o.instances > 10_000 {
		return fmt.Errorf("--instances is from 1 to 10000, not %d: %w", o.instances, errUsage)
	}
	if o.partitions < 0 || o.partitions > 1000 {
		return fmt.Errorf("--partitions is from 1 to 1000, not %d: %w", o.partitions, errUsage)
	}
	return b.run(ctx, o)
}

func (o options) seeds() []string { return strings.Split(o.brokers, ",") }
