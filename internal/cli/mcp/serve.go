package mcp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot/config"
	"github.com/leat-io/leat/internal/boot/listen"
	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/mcp/offer"
	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/registry"
	"github.com/leat-io/leat/pkg/client"
)

// instructions are what models are told of all tools.
const instructions = "Every tool is a durable workflow: once a call is accepted it goes on, whatever fails in between."

// definitionsWithin is how long the first reading of the definitions may take.
const definitionsWithin = 30 * time.Second

func (a *app) serveCommand() *cobra.Command {
	var streams bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Offer workflows to agents as tools, over MCP", Args: cobra.NoArgs,
		Long: "Offer to agents, as tools, the workflows whose definitions say `tool`.\n\n" +
			"A call starts an instance. It is answered with the output when that is there within the tool's wait, else as a task\n" +
			"that the client asks for later. Nothing is kept here: run as many of it as you like, and stop any of them at any time.\n\n" +
			"Over HTTP, off loopback, clients have to send a bearer token; --token-file says whose tokens are accepted, by their\n" +
			"SHA-256: printf %s \"$TOKEN\" | sha256sum. A caller sees only what the same name has started. With --stdio, one\n" +
			"client calls on standard input and output, as desktop programs do.",
		Example: "  leat mcp serve                                # http://127.0.0.1:8475\n" +
			"  leat mcp serve --stdio                        # as the command of a desktop client\n" +
			"  leat mcp serve --http 0.0.0.0:8475 --http-host tools.example.com --token-file ./tokens",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if streams && cmd.Flags().Changed("http") {
				return problem.New(problem.Usage, "--stdio and --http exclude each other", "one client calls on standard input, or many over HTTP", "leave one out")
			}
			return a.serve(cmd.Context(), streams)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	config.AddCommandFlags(flags, "mcp serve")
	flags.BoolVar(&streams, "stdio", false, "serve one client on standard input and output")
	return cmd
}

// serving is what is printed when clients can call.
type serving struct {
	URL   string   `json:"url"`
	Tools []string `json:"tools"`
}

func (a *app) serve(ctx context.Context, streams bool) error {
	logger, err := a.Logger("warn")
	if err != nil {
		return err
	}
	bearers, err := a.bearers(streams, logger)
	if err != nil {
		return err
	}
	return a.With(ctx, session.Routers, true, func(_ context.Context, c *client.Client) error {
		return a.offer(ctx, c, logger, func(ctx context.Context, s *serve.Server, w *offer.Workflows) error {
			if streams {
				return s.Streams(ctx, a.In, a.Out)
			}
			return a.http(ctx, s.Handler(bearers), w)
		})
	})
}

// bearers says who may call, nil for everybody who reaches the address.
func (a *app) bearers(streams bool, logger *slog.Logger) (*serve.Bearers, error) {
	path, addr := a.Settings.Text("mcp.token-file"), a.Settings.Text("mcp.http")
	switch {
	case streams:
		return nil, nil //nolint:nilnil // who started the program calls
	case path == "" && listen.Loopback(addr):
		return nil, nil //nolint:nilnil // who is on this machine calls
	case path == "":
		return nil, problem.New(problem.AddressRefused, "cannot offer tools on "+addr,
			"it is not a loopback address, and without tokens anyone who reaches it can start and end workflows",
			"give --token-file FILE, or listen on 127.0.0.1:8475")
	}
	b, err := serve.ReadBearers(path, logger)
	if err != nil {
		return nil, problem.New(problem.BadSetting, "mcp.token-file cannot be used", err.Error(),
			`write a line for each caller: echo "NAME $(printf %s "$TOKEN" | sha256sum | cut -d' ' -f1)"`)
	}
	return b, nil
}

// offer follows what is deployed, and serves it.
func (a *app) offer(ctx context.Context, c *client.Client, logger *slog.Logger, run func(context.Context, *serve.Server, *offer.Workflows) error) error {
	k, err := a.Settings.Kafka(logger)
	if err != nil {
		return err
	}
	deployed := registry.New(registry.Config{Kafka: k, Names: a.Settings.Names(), Logger: logger})
	w := offer.New(offer.Config{Client: c, Definitions: deployed, Logger: logger})
	s, err := serve.New(serve.Config{Name: "leat", Version: ops.Build().Version, Instructions: instructions, Tasks: w, Logger: logger})
	if err != nil {
		return err
	}
	for _, r := range w.Resources() {
		s.AddResource(r)
	}
	deployed.Subscribe(func() { s.SetTools(w.Tools()) })
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	following.Go(func() { _ = deployed.Run(ctx) }) // it ends with ctx, and tries again until then
	first, stop := context.WithTimeout(ctx, definitionsWithin)
	defer stop()
	if err := deployed.WaitReady(first); err != nil {
		return problem.Wrap(problem.KafkaAway, "cannot read what is deployed", err)
	}
	s.SetTools(w.Tools())
	return run(ctx, s, w)
}

// http serves until ctx ends. Calls that wait are answered as tasks then, where
// their clients know tasks.
func (a *app) http(ctx context.Context, handler http.Handler, w *offer.Workflows) error {
	server, err := listen.HTTP(ctx, a.Settings.Text("mcp.http"), handler, a.Settings.List("http-host")...)
	if err != nil {
		return err
	}
	up := serving{URL: server.URL(), Tools: []string{}}
	for _, t := range w.Tools() {
		up.Tools = append(up.Tools, t.Name)
	}
	err = a.Print.Value(up, func(out io.Writer) {
		tools := strings.Join(up.Tools, ", ")
		if tools == "" {
			tools = "none yet: deploy a definition that says tool"
		}
		output.Fields(out, "MCP", up.URL, "Tools", tools)
		_, _ = fmt.Fprintln(out, "\nCtrl-C stops.")
	})
	if err != nil {
		_ = server.Close()
		return err
	}
	stop := context.AfterFunc(ctx, w.Stop)
	defer stop()
	return server.Serve(ctx)
}
