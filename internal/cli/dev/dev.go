// Package dev has `leat dev`: everything on one machine, in one process.
package dev

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/topics"
)

// app is what the command is made of.
type app struct{ *session.Session }

// ready is what `leat dev` prints when it is ready.
type ready struct {
	API     string   `json:"api"`
	Workers string   `json:"workers"` // where workers poll for tasks
	Kafka   string   `json:"kafka"`
	Data    string   `json:"data,omitempty"` // absent in memory
	Queues  []string `json:"queues"`         // whose tasks run here
	ReadyMS int64    `json:"ready_ms"`
}

// Command is `leat dev`.
func Command(s *session.Session) *cobra.Command {
	a := &app{s}
	var o boot.DevOptions
	cmd := &cobra.Command{
		Use: "dev", Short: "Run everything on this machine: Kafka and all workers in one process", Args: cobra.NoArgs,
		Long: "Run everything on this machine in one process: an embedded Kafka, a router, a projector, an executor,\n" +
			"and a gateway from which workers in any language get tasks over HTTP.\n\n" +
			"Data is kept in --data (default: the folder leat/dev below the user's cache directory) across restarts. To any client\n" +
			"(kcat, rpk, your programs) the Kafka is a real one, but it is one process on one disk without a password: for\n" +
			"development, not for production.",
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
	flags.BoolVar(&o.Memory, "memory", false, "keep data in memory only; it is gone when the command ends")
	flags.StringVar(&o.HTTP, "http", boot.DevHTTP, "address of the API; port 0 takes a free one")
	flags.BoolVar(&o.HTTPRemote, "http-remote", false, "allow --http to be an address that other machines reach; the API has no authentication")
	flags.StringVar(&o.Workers, "workers", "", "address where workers poll for tasks over HTTP (default: "+boot.GatewayAddr+", or a free port when that is taken)")
	flags.StringVar(&o.Kafka, "kafka", devkafka.DefaultAddr, "address of the embedded Kafka; port 0 takes a free one")
	flags.IntVar(&o.Partitions, "partitions", topics.DevPartitions, "partitions of topics that are created without a count")
	config.AddCommandFlags(flags, "dev")
	flags.StringArrayVar(&o.Exec, "exec", nil, "run a program for a task: 'queue.task=program arg…'; may be repeated")
	return cmd
}

// upWithin is how long the parts may take to come up; after a crash with a
// lot of data that is not the usual blink.
const upWithin = 2 * time.Minute

func (a *app) dev(ctx context.Context, o boot.DevOptions) error {
	begin := time.Now()
	logger, err := a.Logger("warn")
	if err != nil {
		return err
	}
	o.Programs = a.Programs
	o.Logger, o.HTTPCalls, o.MCP, o.HTTPHosts = logger, a.Settings.HTTPCalls(), a.Settings.MCP(), a.Settings.List("http-host")
	o.Capabilities, o.Capacity = a.Settings.List("capability"), a.Settings.List("capacity")
	if o.Token, err = a.Settings.GatewayToken(); err != nil {
		return err
	}
	if o.Memory && o.Data != "" {
		return problem.New(problem.Usage, "--data and --memory exclude each other", "one keeps the data, the other does not", "leave one out")
	}
	if err := input.Partitions(o.Partitions, 1); err != nil {
		return err
	}
	d, err := boot.StartDev(ctx, o)
	if err != nil {
		return err
	}
	err = a.devRun(ctx, d, begin)
	if ctx.Err() != nil {
		a.Print.Say("stopping; press Ctrl-C again to stop at once")
		err = nil
	}
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}

func (a *app) devRun(ctx context.Context, d *boot.Dev, begin time.Time) error {
	starting, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	if err := d.Ready(starting); err != nil {
		return err
	}
	r := ready{API: d.URL, Workers: d.Worker, Kafka: d.Broker, Data: d.Data, Queues: d.Queues, ReadyMS: time.Since(begin).Milliseconds()}
	if err := a.Print.Value(r, func(w io.Writer) { a.welcome(w, r) }); err != nil {
		return err
	}
	return d.Wait(ctx)
}

func (a *app) welcome(w io.Writer, r ready) {
	data := r.Data
	if data == "" {
		data = "in memory, gone when this ends"
	}
	_, _ = fmt.Fprintf(w, "Leat is ready (%d ms)\n\n", r.ReadyMS)
	output.Fields(w, "  API", r.API, "  API docs", r.API+"/openapi.json", "  Metrics", r.API+"/metrics", "  Workers", r.Workers+"/v1 (in any language, over HTTP)", "  Kafka", r.Kafka, "  Data", data,
		"  Queues", strings.Join(r.Queues, ", ")+" (their tasks run here; tasks of other queues wait for an executor or a worker)")
	elsewhere := ""
	if r.Kafka != devkafka.DefaultAddr {
		elsewhere += " --brokers " + r.Kafka
	}
	if r.API != "http://"+boot.DevHTTP {
		elsewhere += " --api " + r.API
	}
	_, _ = fmt.Fprintf(w, "\nNext, in another terminal:\n  leat%s def deploy FILE.yaml\n  leat%s start TYPE --key my-first --input '{}' --wait\n\nCtrl-C stops.\n", elsewhere, elsewhere)
}
