// Package mcp has the commands about the Model Context Protocol: `leat mcp serve`
// offers workflows to agents.
package mcp

import (
	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/session"
)

// app is what the commands of this package share.
type app struct{ *session.Session }

// Command is `leat mcp` with its commands.
func Command(s *session.Session) *cobra.Command {
	a := &app{s}
	cmd := &cobra.Command{
		Use: "mcp", Short: "Tools of agents: serve workflows over the Model Context Protocol",
		Long:    "The Model Context Protocol (MCP): workflows as tools of agents.",
		Example: "  leat mcp serve\n  leat mcp serve --stdio",
	}
	cmd.AddCommand(a.serveCommand())
	return cmd
}
