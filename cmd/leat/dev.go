package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/topics"
)

// devReady is what `leat dev` prints when it is ready.
type devReady struct {
	API     string   `json:"api"`
	Workers string   `json:"workers"` // where workers poll for tasks
	Kafka   string   `json:"kafka"`
	Data    string   `json:"data,omitempty"` // absent in memory
	Queues  []string `json:"queues"`         // whose tasks run here
	ReadyMS int64    `json:"ready_ms"`
}

func (a *app) devCommand() *cobra.Command {
	var o boot.DevOptions
	cmd := &cobra.Command{
		Use: "dev", Short: "Run everything on this machine: Kafka and all workers in one process", Args: cobra.NoArgs,
		Long: "Run everything on this machine in one process: an embedded Kafka, a router, a projector and an executor.\n\n" +
			"The data are kept in --data (default: the folder leat/dev below the user's cache directory) and survive a\n" +
			"restart. The Kafka is a real one to any client (kcat, rpk, your programs), but it is one process on one disk\n" +
			"without a password: for development, not for production.",
		Example: "  leat dev\n" +
			"  leat dev --memory                             # keep nothing\n" +
			"  leat dev --data ./data --http 127.0.0.1:0 --kafka 127.0.0.1:0\n" +
			"  leat dev --exec 'mail.send=./send-mail.sh'    # run tasks with a program\n" +
			"  leat dev --http-allow api.example.com         # let definitions call this host",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dev(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.Data, "data", "", "directory of all data (default: leat/dev below the user's cache directory)")
	flags.BoolVar(&o.Memory, "memory", false, "keep everything in memory, and nothing after the end")
	flags.StringVar(&o.HTTP, "http", boot.DevHTTP, "address of the API; port 0 takes a free one")
	flags.BoolVar(&o.HTTPRemote, "http-remote", false, "let --http be an address that others reach; the API asks nobody for a password")
	flags.StringVar(&o.Workers, "workers", "", "address where workers poll for tasks over HTTP (default: "+boot.GatewayAddr+", or a free port when that is taken)")
	flags.StringVar(&o.Kafka, "kafka", devkafka.DefaultAddr, "address of the embedded Kafka; port 0 takes a free one")
	flags.IntVar(&o.Partitions, "partitions", topics.DevPartitions, "partitions of topics that are made without a count")
	boot.AddCommandFlags(flags, "dev")
	flags.StringArrayVar(&o.Exec, "exec", nil, "run a program for a task: 'queue.task=program arg…' (repeatable)")
	return cmd
}

// readyWithin is how long the parts may take to come up; after a crash with a
// lot of data that is not the usual blink.
const readyWithin = 2 * time.Minute

func (a *app) dev(ctx context.Context, o boot.DevOptions) error {
	begin := time.Now()
	logger, err := a.logger("warn")
	if err != nil {
		return err
	}
	o.Programs = a.programs
	o.Logger, o.HTTPCalls, o.HTTPHosts = logger, a.settings.HTTPCalls(), a.settings.List("http-host")
	if o.Token, err = a.settings.GatewayToken(); err != nil {
		return err
	}
	if o.Memory && o.Data != "" {
		return problem.New(problem.Usage, "--data and --memory exclude each other", "one keeps the data, the other does not", "leave one out")
	}
	if err := checkPartitions(o.Partitions, 1); err != nil {
		return err
	}
	d, err := boot.StartDev(ctx, o)
	if err != nil {
		return err
	}
	err = a.devRun(ctx, d, begin)
	if ctx.Err() != nil {
		a.print.say("stopping; press Ctrl-C again to stop at once")
		err = nil
	}
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}

func (a *app) devRun(ctx context.Context, d *boot.Dev, begin time.Time) error {
	starting, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := d.Ready(starting); err != nil {
		return err
	}
	r := devReady{API: d.URL, Workers: d.Worker, Kafka: d.Broker, Data: d.Data, Queues: d.Queues, ReadyMS: time.Since(begin).Milliseconds()}
	if err := a.print.value(r, func(w io.Writer) { a.welcome(w, r) }); err != nil {
		return err
	}
	return d.Wait(ctx)
}

func (a *app) welcome(w io.Writer, r devReady) {
	data := r.Data
	if data == "" {
		data = "in memory, gone at the end"
	}
	_, _ = fmt.Fprintf(w, "Leat is ready (%d ms)\n\n", r.ReadyMS)
	fields(w, "  API", r.API, "  API docs", r.API+"/openapi.json", "  Metrics", r.API+"/metrics", "  Workers", r.Workers+"/v1 (in any language, over HTTP)", "  Kafka", r.Kafka, "  Data", data,
		"  Queues", strings.Join(r.Queues, ", ")+" (their tasks run here; those of others wait for an executor or a worker)")
	elsewhere := ""
	if r.Kafka != devkafka.DefaultAddr {
		elsewhere += " --brokers " + r.Kafka
	}
	if r.API != "http://"+boot.DevHTTP {
		elsewhere += " --api " + r.API
	}
	_, _ = fmt.Fprintf(w, "\nNext, in another terminal:\n  leat%s def deploy FILE.yaml\n  leat%s start TYPE --key my-first --input '{}' --wait\n\nCtrl-C stops.\n", elsewhere, elsewhere)
}

// logger says nothing below usual, unless another level was asked for.
func (a *app) logger(usual string) (*slog.Logger, error) {
	level := a.settings.Text("log.level")
	if !a.settings.Given("log.level") {
		level = usual
	}
	return boot.NewLogger(a.err, level, a.settings.Text("log.format"))
}
