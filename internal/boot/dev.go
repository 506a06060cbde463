package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/boot/listen"
	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/console"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/executor/seat"
	"github.com/leat-io/leat/internal/gateway"
	"github.com/leat-io/leat/internal/httpcall"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/projector"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/pkg/topics"
)

// DevOptions of StartDev. The zero value works.
type DevOptions struct {
	Data       string // directory of everything; default: dev in the data directory
	Memory     bool   // keep nothing: Data is not used
	HTTP       string // default 127.0.0.1:8470
	HTTPRemote bool   // allow an HTTP that is not a loopback address: the API has no authentication
	HTTPHosts  []string
	Workers    string // where workers poll for tasks; default GatewayAddr, or a free port when that is taken
	Token      string // bearer token of workers, "" for none
	Kafka      string // default 127.0.0.1:9092
	Partitions int    // of topics without a count of their own; default topics.DevPartitions
	Exec       []string
	HTTPCalls  httpcall.Config
	MCP        config.MCP

	Capabilities []string     // of the node that its executor and its gateway are
	Capacity     []string     // name=amount, of the same
	Programs     *Programs    // notified of what runs; default: none
	Logger       *slog.Logger // default: none
}

// DevHTTP is where `leat dev` serves when nothing is said.
const DevHTTP = "127.0.0.1:8470"

// Dev is Leat in one process: an embedded broker, a router, a projector, an
// executor and a gateway for workers.
type Dev struct {
	Broker string   // host:port for Kafka clients
	URL    string   // of the API
	Worker string   // where workers poll for tasks
	Data   string   // "" in memory
	Queues []string // that its executor serves
	health ops.Health
	group  *group
	broker *devkafka.Broker
}

// StartDev starts everything and returns when all addresses listen. Ready
// waits for the rest. The error is a *problem.Problem.
func StartDev(ctx context.Context, o DevOptions) (*Dev, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Dev{Data: o.Data}
	d.broker, err = devkafka.Start(devkafka.Options{
		Dir: o.path("kafka"), Addr: o.Kafka, Partitions: o.Partitions, Logger: o.Logger.With("part", "kafka"),
	})
	if err != nil {
		return nil, explainDev(o, err)
	}
	d.Broker = d.broker.Addr()
	// The broker outlives the workers: they say good-bye to it.
	d.group = newGroup(context.WithoutCancel(ctx))
	if err := d.startWorkers(o); err != nil {
		d.group.Stop()
		return nil, errors.Join(explain.Error("cannot start", err), d.group.Wait(), d.broker.Close())
	}
	return d, nil
}

func (o DevOptions) withDefaults() (DevOptions, error) {
	if o.HTTP == "" {
		o.HTTP = DevHTTP
	}
	if o.Kafka == "" {
		o.Kafka = devkafka.DefaultAddr
	}
	if o.Partitions == 0 {
		o.Partitions = topics.DevPartitions
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if !o.HTTPRemote && !listen.Loopback(o.HTTP) {
		return o, problem.New(problem.AddressRefused, "cannot serve the API on "+o.HTTP,
			"it is not a loopback address, and the API has no authentication: anybody who reaches it can start, signal and end workflows",
			"leat dev --http 127.0.0.1:0, or say that it is meant: --http-remote")
	}
	if err := checkGateway(o.Workers, o.Token); o.Workers != "" && err != nil {
		return o, err
	}
	if o.Memory {
		o.Data = ""
		return o, nil
	}
	var err error
	o.Data, err = dataDir(o.Data, "dev")
	return o, err
}

func (o DevOptions) path(name string) string {
	if o.Memory {
		return ""
	}
	return filepath.Join(o.Data, name)
}

func explainDev(o DevOptions, err error) error {
	p := explain.Error("cannot start the embedded Kafka", err)
	switch p.Code {
	case problem.AddressTaken:
		p.Fix = "stop the program that listens on " + o.Kafka + ", or: leat dev --kafka 127.0.0.1:0 (another port)"
	case problem.DirectoryLocked:
		p.Fix = "stop the other `leat dev`, or: leat dev --data DIR (another directory)"
	default: // the registry's fix is good
	}
	return p
}

// startWorkers makes the router last: it holds a connection from the start, and
// gives it back only when it runs.
func (d *Dev) startWorkers(o DevOptions) (err error) {
	config := kafka.Config{Brokers: []string{d.Broker}, ClientID: "leat-dev", Logger: ops.Limit(o.Logger)}
	m := ops.NewMeters("dev")
	config.Hooks = append(config.Hooks, m.Kafka().Hook())
	metrics := ops.NewMetrics(m)

	api := new(listen.Current)
	server, err := listen.HTTP(context.Background(), o.HTTP, api, o.HTTPHosts...)
	if err != nil {
		if known := explain.Error("", err); known.Code == problem.AddressTaken {
			known.Fix = "stop the program that listens on " + o.HTTP + ", or: leat dev --http 127.0.0.1:0 (another port)"
		}
		return err
	}
	d.URL = server.URL()
	defer func() {
		if err != nil {
			_ = server.Close()
		}
	}()
	seat, err := d.newSeat(o, config, metrics)
	if err != nil {
		return err
	}
	e, err := d.newExecutor(o, config, metrics, seat)
	if err != nil {
		return err
	}
	g, workers, err := d.newGateway(o, config, metrics, seat)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = workers.Close()
		}
	}()
	viewing := projector.Config{
		Kafka: config, Dir: o.path("projector"), Logger: o.Logger.With("part", "projector"), Metrics: metrics.Projector(),
		NodeID: "dev-projector", Version: ops.Build().Version, Endpoint: d.URL, Page: console.Handler(),
	}
	routing := router.Config{
		Kafka: config, Slot: "dev", Version: ops.Build().Version, Endpoint: d.URL, Dir: o.path("router"), Logger: o.Logger.With("part", "router"), Metrics: metrics.Router(),
	}
	build := ops.Build()
	build.Partitions = o.Partitions
	p, err := d.newLasting(o, "projector", func() (worker, error) {
		p, err := projector.New(viewing)
		if err != nil {
			return nil, err
		}
		api.Set(listen.BesideAPI(ops.Handler(&d.health, m.Registry, build), p.Handler()))
		return p, nil
	})
	if err != nil {
		return err
	}
	r, err := d.newLasting(o, "router", func() (worker, error) { return router.New(routing) })
	if err != nil {
		return err
	}
	d.group.Go(server.Serve)
	if !o.Memory {
		d.health.Add("disk", ops.DiskCheck(o.Data))
	}
	d.run("router", r)
	d.run("projector", p)
	d.run("node", seat)
	// It is no part of Ready: it waits for queues that are there only once a
	// definition that uses them is deployed.
	d.run("executor", e)
	d.runGateway(g, workers)
	return nil
}

// newSeat is the one node that runs tasks here.
func (d *Dev) newSeat(o DevOptions, config kafka.Config, metrics *ops.Metrics) (*seat.Seat, error) {
	capacity, err := capacities(o.Capacity)
	if err != nil {
		return nil, err
	}
	return newSeat(seat.Config{
		Kafka: config, NodeID: "dev", Capabilities: mcpCapabilities(o.Capabilities, o.MCP), Capacity: capacity, Version: ops.Build().Version, Endpoint: d.URL,
		Logger: o.Logger.With("part", "executor"), Metrics: metrics.Nodes(),
	})
}

// newExecutor serves what --exec names and what comes with every executor.
func (d *Dev) newExecutor(o DevOptions, k kafka.Config, metrics *ops.Metrics, seat *seat.Seat) (worker, error) {
	e, err := executor.New(executor.Config{Kafka: k, NodeID: seat.NodeID(), Seat: seat, Logger: o.Logger.With("part", "executor"), Metrics: metrics.Executor()})
	if err != nil {
		return nil, err
	}
	if err := addPrograms(e, o.Programs, o.Exec); err != nil {
		return nil, err
	}
	if err := addBuiltins(e, o.HTTPCalls, true); err != nil {
		return nil, err
	}
	m, err := addMCP(e, o.MCP, k, topics.Names{}, seat.NodeID(), metrics.MCP(), o.Logger.With("part", "executor"))
	if err != nil {
		return nil, err
	}
	d.Queues = e.Queues()
	return m, nil
}

// devDrain is how long workers may go on with their tasks when everything stops.
const devDrain = 3 * time.Second

// newGateway hands the tasks of all other queues to workers. Without an address
// of its own it gives way to a second `leat dev`.
func (d *Dev) newGateway(o DevOptions, config kafka.Config, metrics *ops.Metrics, seat *seat.Seat) (*gateway.Gateway, *listen.Server, error) {
	w, err := gateway.New(gateway.Config{
		Kafka: config, NodeID: seat.NodeID(), Seat: seat, Token: o.Token, Served: d.Queues, DrainTimeout: devDrain, Logger: o.Logger.With("part", "gateway"),
		Tasks: metrics.LentTasks(), Metrics: metrics.Gateway(),
	})
	if err != nil {
		return nil, nil, err
	}
	addr := cmp.Or(o.Workers, GatewayAddr)
	server, err := listen.HTTP(context.Background(), addr, w.Handler(), o.HTTPHosts...)
	if err != nil && o.Workers == "" && explain.Error("", err).Code == problem.AddressTaken {
		server, err = listen.HTTP(context.Background(), "127.0.0.1:0", w.Handler(), o.HTTPHosts...)
	}
	if err != nil {
		if known := explain.Error("", err); known.Code == problem.AddressTaken {
			known.Fix = "stop the program that listens on " + addr + ", or: leat dev --workers 127.0.0.1:0 (another port)"
		}
		return nil, nil, err
	}
	d.Worker = server.URL()
	return w, server, nil
}

// runGateway serves the gateway until it has stopped.
func (d *Dev) runGateway(w *gateway.Gateway, server *listen.Server) {
	d.health.Add("gateway", w.Ready)
	serving, stop := context.WithCancel(context.WithoutCancel(d.group.ctx))
	d.group.Go(func(context.Context) error { return server.Serve(serving) })
	d.group.Go(func(ctx context.Context) error {
		defer stop()
		return w.Run(ctx)
	})
}

// run keeps one worker; when it ends by itself, everything ends.
func (d *Dev) run(name string, w worker) {
	d.group.Go(func(ctx context.Context) error {
		err := w.Run(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end
		}
		if err == nil {
			err = errors.New("it ended by itself")
		}
		return explain.Error("the "+name+" ended", err)
	})
}

// Ready waits until every part answers, or ctx ends.
func (d *Dev) Ready(ctx context.Context) error {
	for {
		err := d.health.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-d.group.ctx.Done():
			return d.group.Wait()
		default:
		}
		if !sleep(ctx, 5*time.Millisecond) {
			return fmt.Errorf("not ready: %w", err)
		}
	}
}

// Wait returns when ctx ends, with nil, or when a part has ended, with why.
func (d *Dev) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.group.ctx.Done():
		return d.group.Wait()
	}
}

// Close ends the workers, then the broker.
func (d *Dev) Close() error {
	d.group.Stop()
	return errors.Join(d.group.Wait(), d.broker.Close())
}
