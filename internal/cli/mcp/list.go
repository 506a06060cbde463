package mcp

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/register"
	"github.com/leat-io/leat/pkg/events"
)

// subsystem is a server as it is shown: its file, and what became of it.
type subsystem struct {
	register.Document

	RegisteredAt time.Time      `json:"registered_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
	UpdatedBy    string         `json:"updated_by,omitempty"`
	Approved     int            `json:"approved"` // tools
	Pending      int            `json:"pending"`  // tools to be approved
	Health       []executorView `json:"health"`
}

// executorView is how one executor sees a server.
type executorView struct {
	events.MCPHealth

	Expired bool `json:"expired,omitempty"`
}

func healthOf(all *catalog.Catalog, id string, now time.Time) []executorView {
	views := []executorView{}
	for _, h := range all.Health(id) {
		views = append(views, executorView{h, !catalog.Live(&h, now)})
	}
	return views
}

func subsystemOf(all *catalog.Catalog, s *events.MCPSubsystem, now time.Time) subsystem {
	v := subsystem{
		Document: register.DocumentOf(s), RegisteredAt: s.RegisteredAt, UpdatedAt: s.UpdatedAt, UpdatedBy: s.UpdatedBy, Approved: len(s.Approved),
		Health: healthOf(all, s.SubsystemID, now),
	}
	for _, r := range all.Rows(s.SubsystemID, now) {
		if r.Pending() {
			v.Pending++
		}
	}
	return v
}

// address is how a server is reached.
func (v *subsystem) address() string {
	if v.HTTP != "" {
		return v.HTTP
	}
	return "stdio " + v.Stdio
}

// summary is the health of a server at all executors.
func (v *subsystem) summary() string {
	counts := make(map[events.HealthStatus]int)
	for _, h := range v.Health {
		if !h.Expired {
			counts[h.Health]++
		}
	}
	var parts []string
	for _, status := range events.HealthStatuses() {
		if n := counts[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", status, n))
		}
	}
	if len(parts) == 0 {
		return "no executor"
	}
	return strings.Join(parts, ", ")
}

func (a *app) listCommand() *cobra.Command {
	var kind, tag string
	cmd := &cobra.Command{
		Use: "list [SUBSYSTEM...]", Aliases: []string{"ls"}, Short: "List the MCP servers that are registered", ValidArgsFunction: a.completeSubsystem,
		Long:    "List the MCP servers that are registered, how many of their tools are approved, how many wait for it, and how executors see them.",
		Example: "  leat mcp list\n  leat mcp list --type storage -o json\n  leat mcp list files -o yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.reading(cmd.Context(), func(_ context.Context, all *catalog.Catalog) error {
				now := time.Now()
				list := []subsystem{}
				for _, id := range args {
					if _, ok := all.Subsystem(id); !ok {
						return missing(all, id)
					}
				}
				for _, s := range all.Subsystems() {
					if len(args) > 0 && !slices.Contains(args, s.SubsystemID) || kind != "" && string(s.Type) != kind || tag != "" && !slices.Contains(s.Tags, tag) {
						continue
					}
					list = append(list, subsystemOf(all, &s, now))
				}
				return output.List(a.Print, list, func(list []subsystem) output.Rows {
					rows := output.Rows{Header: []string{"subsystem", "type", "version", "address", "approved", "pending", "health"}, Right: []int{5, 6}}
					for _, v := range list {
						rows.Lines = append(rows.Lines, []string{v.ID, v.Type, v.Version, v.address(), strconv.Itoa(v.Approved), strconv.Itoa(v.Pending), v.summary()})
					}
					return rows
				})
			})
		},
	}
	cmd.Flags().StringVar(&kind, "type", "", "only those of this type: "+strings.Join(output.Texts(events.MCPSubsystemTypes()), ", "))
	cmd.Flags().StringVar(&tag, "tag", "", "only those with this tag")
	return cmd
}

// toolView is a tool as it is shown.
type toolView struct {
	Subsystem    string              `json:"subsystem_id"`
	Name         string              `json:"name"`
	Type         events.MCPToolType  `json:"tool_type"`
	Status       catalog.Status      `json:"status"`
	Description  string              `json:"description,omitempty"`
	Capabilities []string            `json:"capabilities,omitempty"`
	Repeat       string              `json:"repeat,omitempty"`
	Parameters   []catalog.Parameter `json:"parameters,omitempty"`
	Input        jsonText            `json:"input_schema,omitempty"`
	Output       jsonText            `json:"output_schema,omitempty"`
	Annotations  jsonText            `json:"annotations,omitempty"`
	Approved     *events.MCPApproval `json:"approved,omitempty"`
	Listed       []seenView          `json:"listed,omitempty"`
	Message      string              `json:"message,omitempty"`
}

// seenView is a description that executors see.
type seenView struct {
	Pin   string   `json:"pin"`
	Nodes []string `json:"nodes"`
}

func toolOf(all *catalog.Catalog, r *catalog.Row) toolView {
	v := toolView{
		Subsystem: r.SubsystemID, Name: r.Name, Type: r.Policy.Type, Status: r.Status, Capabilities: r.Policy.Capabilities, Repeat: r.Policy.Repeat,
		Approved: r.Approved, Message: r.Message,
	}
	var def *events.MCPTool
	for _, seen := range r.Listed {
		v.Listed = append(v.Listed, seenView{seen.Pin, seen.Nodes})
		if def == nil {
			def = seen.Tool
		}
	}
	if def == nil && r.Approved != nil {
		if t, ok := all.Tool(r.SubsystemID, r.Approved.Pin); ok {
			def = &t
		}
	}
	if def != nil {
		v.Description, v.Input, v.Output, v.Annotations = def.Description, jsonText(def.InputSchema), jsonText(def.OutputSchema), jsonText(def.Annotations)
		v.Parameters = catalog.Parameters(def)
	}
	return v
}

func (a *app) toolsCommand() *cobra.Command {
	var status, kind, capability string
	cmd := &cobra.Command{
		Use: "tools [SUBSYSTEM[/TOOL]...]", Short: "List the tools of MCP servers", ValidArgsFunction: a.completeSubsystem,
		Long: "List the tools of MCP servers, as executors see them, and whether they may be called:\n" +
			"approved, new (nobody approved it), changed (it is not what was approved), gone (no executor sees it), refused (it cannot be used).",
		Example: "  leat mcp tools\n  leat mcp tools files --status new\n  leat mcp tools files/read_file -o yaml      # with its schemas",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.reading(cmd.Context(), func(_ context.Context, all *catalog.Catalog) error {
				rows, err := selected(all, args, time.Now())
				if err != nil {
					return err
				}
				list := []toolView{}
				for _, r := range rows {
					if status != "" && string(r.Status) != status || kind != "" && string(r.Policy.Type) != kind || capability != "" && !slices.Contains(r.Policy.Capabilities, capability) {
						continue
					}
					list = append(list, toolOf(all, &r))
				}
				return output.List(a.Print, list, toolRows)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&status, "status", "", "only those that are approved, new, changed, gone or refused")
	flags.StringVar(&kind, "type", "", "only those of this type: "+strings.Join(output.Texts(events.MCPToolTypes()), ", "))
	flags.StringVar(&capability, "capability", "", "only those with this capability")
	return cmd
}

func toolRows(list []toolView) output.Rows {
	rows := output.Rows{Header: []string{"tool", "status", "repeat", "pin", "nodes", "description"}, Right: []int{5}}
	for _, v := range list {
		pin, nodes := "", 0
		for _, seen := range v.Listed {
			nodes += len(seen.Nodes)
		}
		switch {
		case len(v.Listed) > 0:
			pin = v.Listed[0].Pin[:12]
		case v.Approved != nil:
			pin = v.Approved.Pin[:12]
		}
		text := first(v.Description)
		if v.Message != "" {
			text = v.Message
		}
		rows.Lines = append(rows.Lines, []string{v.Subsystem + "/" + v.Name, string(v.Status), v.Repeat, pin, strconv.Itoa(nodes), output.Clip(text, 60)})
	}
	return rows
}

func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use: "health [SUBSYSTEM...]", Short: "Show how executors see the MCP servers", ValidArgsFunction: a.completeSubsystem,
		Long: "Show how executors see the MCP servers: lifecycle, connection, health and breaker, and why.\n" +
			"Calls go to those that are healthy, available, warning or degraded.",
		Example: "  leat mcp health\n  leat mcp health files -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.reading(cmd.Context(), func(_ context.Context, all *catalog.Catalog) error {
				list := []executorView{}
				if len(args) == 0 {
					for _, s := range all.Subsystems() {
						args = append(args, s.SubsystemID)
					}
				}
				for _, id := range args {
					if _, ok := all.Subsystem(id); !ok {
						return missing(all, id)
					}
					list = append(list, healthOf(all, id, time.Now())...)
				}
				return output.List(a.Print, list, healthRows)
			})
		},
	}
}

func healthRows(list []executorView) output.Rows {
	rows := output.Rows{Header: []string{"subsystem", "node", "lifecycle", "connection", "health", "breaker", "since", "reason"}}
	for _, h := range list {
		reason := string(h.Reason)
		if h.Message != "" {
			reason += ": " + h.Message
		}
		health := string(h.Health)
		if h.Expired {
			health, reason = string(events.HealthUnknown), "the executor is gone"
		}
		rows.Lines = append(rows.Lines, []string{
			h.SubsystemID, h.NodeID, string(h.Lifecycle), string(h.Connection), health, string(h.Breaker), output.When(h.Since), output.Clip(reason, 80),
		})
	}
	return rows
}

// jsonText is JSON that is left out when there is none, and an object in YAML.
type jsonText []byte

// MarshalJSON writes the text as it is.
func (t jsonText) MarshalJSON() ([]byte, error) {
	if len(t) == 0 {
		return []byte("null"), nil
	}
	return t, nil
}
