package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/boot/listen"
	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
)

// Role is one kind of worker: what a program of cmd/ is.
type Role struct {
	Name    string // router, projector or executor
	Short   string // one line for --help
	Example string
	OpsAddr string // default address of /metrics and its like
	// start makes the worker; it does not wait for anything.
	start func(*process) (worker, error)
}

// worker is what the three kinds have in common. Run returns nil when ctx ends
// and an error when it cannot go on.
type worker interface {
	Run(ctx context.Context) error
	Ready() error
}

// process is what a worker is made from.
type process struct {
	role     Role
	settings *config.Settings
	kafka    kafka.Config
	metrics  *ops.Metrics
	logger   *slog.Logger
	health   *ops.Health
	servers  []*listen.Server // the operators' first
	late     []*listen.Server // that are served until the worker has stopped
	programs *executor.Programs
	api      *listen.Current // nil when there is none
	gateway  *listen.Current // nil when there is none
}

// Main runs a worker as a program and never returns.
func Main(role Role) { os.Exit(Run(role, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// Run is Main for tests: it returns the exit code.
func Run(role Role, args, environ []string, stdout, stderr io.Writer) int {
	err := runRole(role, args, environ, stdout, stderr)
	if err == nil || errors.Is(err, pflag.ErrHelp) {
		return problem.ExitOK
	}
	p := explain.Error(role.Name+" cannot run", err)
	p.WriteText(stderr, ops.IsTerminal(stderr) && !noColor(environ))
	return p.Exit()
}

func noColor(environ []string) bool {
	for _, pair := range environ {
		if len(pair) > len("NO_COLOR=") && pair[:len("NO_COLOR=")] == "NO_COLOR=" {
			return true
		}
	}
	return false
}

func runRole(role Role, args, environ []string, stdout, stderr io.Writer) error {
	flags := pflag.NewFlagSet(role.Name, pflag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.SortFlags = false
	config.AddFlags(flags, role.Name)
	version := flags.Bool("version", false, "print the version and exit")
	check := flags.Bool("print-config", false, "print every setting, its value and its source, and exit")
	flags.Usage = func() { usage(stdout, role, flags) }
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return err
		}
		return problem.New(problem.Usage, "the command line is wrong", err.Error(), role.Name+" --help lists the flags")
	}
	if flags.NArg() > 0 {
		return problem.New(problem.Usage, "the command line is wrong", fmt.Sprintf("%q is not a flag", flags.Arg(0)), role.Name+" --help lists the flags")
	}
	if *version {
		b := ops.Build()
		_, err := fmt.Fprintln(stdout, role.Name, b.Version, b.Revision, b.Go, b.Platform)
		return err
	}
	settings, err := config.Load(role.Name, flags, environ)
	if err != nil {
		return err
	}
	if *check {
		return printSettings(stdout, settings)
	}
	return serve(role, settings, stderr)
}

func usage(w io.Writer, role Role, flags *pflag.FlagSet) {
	_, _ = fmt.Fprintf(w, "%s: %s\n\nUsage:\n  %s [flags]\n\nExamples:\n%s\n\nFlags (each is also a LEAT_ variable and a key of %s):\n%s",
		role.Name, role.Short, role.Name, role.Example, config.DefaultFile, flags.FlagUsages())
}

func printSettings(w io.Writer, s *config.Settings) error {
	for _, l := range s.Dump() {
		if _, err := fmt.Fprintf(w, "%-26s %-30s %s\n", l.Key, fmt.Sprint(l.Value), l.Source); err != nil {
			return err
		}
	}
	return nil
}

// serve is the life of a worker process.
func serve(role Role, s *config.Settings, stderr io.Writer) (err error) {
	logger, err := ops.NewLogger(stderr, s.Text("log.level"), s.Text("log.format"))
	if err != nil {
		return err
	}
	logger = logger.With("role", role.Name)
	ops.LimitMemory(logger)
	programs := new(executor.Programs)
	ctx, stop := Signals(context.Background(), programs)
	defer stop()
	m := ops.NewMeters(role.Name)
	p := &process{role: role, settings: s, metrics: ops.NewMetrics(m), logger: logger, health: new(ops.Health), programs: programs}
	if p.kafka, err = s.Kafka(ops.Limit(logger)); err != nil {
		return err
	}
	p.kafka.Hooks = append(p.kafka.Hooks, m.Kafka().Hook())

	if err := p.listenOps(ctx, m.Registry); err != nil {
		return err
	}
	w, err := role.start(p)
	if err != nil {
		return err
	}
	logger.Info("started", "version", ops.Build().Version, "brokers", p.kafka.Brokers, "ops", p.servers[0].URL())
	g := newGroup(ctx)
	away := &brokerWatch{config: p.kafka, logger: logger}
	p.health.Add("kafka", away.Ready)
	p.health.Add(role.Name, w.Ready)
	g.Go(away.Run)
	for _, server := range p.servers {
		g.Go(server.Serve)
	}
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	for _, server := range p.late {
		g.Go(func(context.Context) error { return server.Serve(serving) })
	}
	g.Go(func(ctx context.Context) error {
		defer stopServing()
		return p.supervise(ctx, w)
	})
	err = g.Wait()
	logger.Info("stopped")
	return err
}

func (p *process) listenOps(ctx context.Context, registry *prometheus.Registry) error {
	addr := p.settings.Text("ops-addr")
	if addr == "" {
		addr = p.role.OpsAddr
	}
	server, err := listen.HTTP(ctx, addr, ops.Handler(p.health, registry, ops.Build()), p.settings.List("http-host")...)
	if err != nil {
		return err
	}
	p.servers = append(p.servers, server)
	return nil
}
