// Command cmd measures calls of MCP tools, and prints a JSON object a line.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/leat-io/leat/bench/mcp"
	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

func main() {
	o := mcp.Options{InFlight: []int{1, 32}, Talk: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	flag.Float64Var(&o.Seconds, "seconds", 3, "how long a side runs at one number in flight")
	flag.IntVar(&o.Rounds, "rounds", 4, "how often the sides take turns")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-mcp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o mcp.Options) error {
	dirs, err := mcpservers.Install(ctx)
	if err != nil {
		return err
	}
	o.Server = filepath.Join(dirs["go"], "everything-server")
	return mcp.Run(ctx, o, json.NewEncoder(os.Stdout).Encode)
}
