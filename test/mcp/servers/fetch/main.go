// Command fetch installs the MCP servers that tests use, and prints where they are.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"

	mcpservers "github.com/leat-io/leat/test/mcp/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	dirs, err := mcpservers.Install(ctx)
	stop()
	for _, name := range slices.Sorted(maps.Keys(dirs)) {
		fmt.Println(name, dirs[name])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
