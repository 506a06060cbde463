package mcp

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/mcp/register"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// validation is what is said of files.
type validation struct {
	Valid      bool               `json:"is_valid"`
	Errors     []register.Finding `json:"errors"`
	Warnings   []register.Finding `json:"warnings"`
	Subsystems []registered       `json:"subsystems"`
}

// registered is what became of one server.
type registered struct {
	ID     string `json:"id"`
	Result string `json:"result"` // registered, updated, unchanged or valid
}

func (v *validation) add(all []register.Finding) {
	for _, f := range all {
		if f.Severity == register.Warning {
			v.Warnings = append(v.Warnings, f)
		} else {
			v.Errors = append(v.Errors, f)
		}
	}
	v.Valid = len(v.Errors) == 0
}

func (a *app) registerCommand() *cobra.Command {
	var update, check, approve bool
	var c confirmation
	cmd := &cobra.Command{
		Use: "register FILE...", Short: "Register MCP servers from files", Args: cobra.MinimumNArgs(1),
		Long: "Register MCP servers from YAML or JSON files. A file may hold several documents; schemas/subsystem.schema.json completes\n" +
			"the fields in an editor. Everything that is wrong is said at once, and nothing is written then.\n\n" +
			"Registering the same again changes nothing. A server that is registered otherwise is changed with --update; what was\n" +
			"approved stays approved. Registering approves nothing, unless --approve is given.",
		Example: "  leat mcp register files.yaml\n" +
			"  leat mcp register --check *.yaml            # without a broker\n" +
			"  leat mcp register --update --approve files.yaml\n" +
			"  printf '{\"id\": \"time\", \"type\": \"api\", \"version\": \"1\", \"stdio\": \"time\"}' | leat mcp register -",
		RunE: func(cmd *cobra.Command, args []string) error {
			servers, v, err := a.readFiles(args)
			if err != nil {
				return err
			}
			if check || !v.Valid {
				return a.checked(v)
			}
			return a.with(cmd.Context(), func(ctx context.Context, at directory.Config) error {
				if err := a.register(ctx, at, servers, v, update); err != nil || !approve {
					return err
				}
				var ids []string
				for _, s := range servers {
					ids = append(ids, s.SubsystemID)
				}
				return a.approveWhenListed(ctx, at, ids, &c)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&update, "update", false, "change servers that are registered already")
	flags.BoolVar(&check, "check", false, "check the files, and register nothing")
	flags.BoolVar(&approve, "approve", false, "wait until an executor lists the tools, show them, and approve them")
	c.flags(cmd)
	return cmd
}

// readFiles reads every file before any is used.
func (a *app) readFiles(paths []string) (servers []events.MCPSubsystem, v *validation, err error) {
	v = &validation{Valid: true, Errors: []register.Finding{}, Warnings: []register.Finding{}, Subsystems: []registered{}}
	seen := make(map[string]string)
	for _, path := range paths {
		text, err := input.Text(a.In, path)
		if err != nil {
			return nil, v, err
		}
		list, findings := register.Parse(path, text, events.Instant(time.Now()))
		for _, s := range list {
			if other := seen[s.SubsystemID]; other != "" && other != path {
				findings = append(findings, register.Finding{
					Severity: register.Mistake, File: path, Line: 1, Column: 1, Subsystem: s.SubsystemID, Field: "id", Message: fmt.Sprintf("%q is in %s, too", s.SubsystemID, other),
				})
			}
			seen[s.SubsystemID] = path
			v.Subsystems = append(v.Subsystems, registered{s.SubsystemID, "valid"})
		}
		v.add(findings)
		servers = append(servers, list...)
	}
	return servers, v, nil
}

// checked shows a validation, and fails when it failed.
func (a *app) checked(v *validation) error {
	if a.Print.Format != "table" || v.Valid {
		if err := a.Print.Value(v, v.people); err != nil {
			return err
		}
	}
	if v.Valid {
		return nil
	}
	var lines []string
	for _, f := range v.Errors {
		lines = append(lines, f.String())
	}
	return problem.New(problem.SubsystemInvalid, "nothing was registered", strings.Join(lines, "\n"), "")
}

func (v *validation) people(w io.Writer) {
	for _, f := range v.Warnings {
		_, _ = fmt.Fprintln(w, f)
	}
	for _, s := range v.Subsystems {
		_, _ = fmt.Fprintf(w, "%s subsystem %s\n", s.Result, s.ID)
	}
}

// register writes servers when none of them is refused.
func (a *app) register(ctx context.Context, at directory.Config, servers []events.MCPSubsystem, v *validation, update bool) error {
	all, err := directory.Read(ctx, at)
	if err != nil {
		return err
	}
	for _, s := range servers {
		_, _, findings := register.Against(all, s, update)
		v.add(findings)
	}
	if !v.Valid {
		return a.checked(v)
	}
	v.Subsystems = []registered{}
	for _, s := range servers {
		what := "unchanged"
		err := directory.Change(ctx, at, s.SubsystemID, func(all *catalog.Catalog) (*events.MCPSubsystem, error) {
			out, changed, findings := register.Against(all, s, update)
			switch _, known := all.Subsystem(s.SubsystemID); {
			case register.Failed(findings): // somebody was faster
				return nil, problem.New(problem.SubsystemInvalid, "subsystem "+s.SubsystemID+" was not registered", findings[0].String(), "")
			case !changed:
				return nil, nil
			case known:
				what = "updated"
			default:
				what = "registered"
			}
			out.UpdatedAt, out.UpdatedBy = events.Instant(time.Now()), at.Kafka.ClientID
			return &out, nil
		})
		if err != nil {
			return err
		}
		v.Subsystems = append(v.Subsystems, registered{s.SubsystemID, what})
	}
	return a.Print.Value(v, v.people)
}

func (a *app) unregisterCommand() *cobra.Command {
	return &cobra.Command{
		Use: "unregister SUBSYSTEM...", Aliases: []string{"deregister"}, Short: "Unregister MCP servers", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeSubsystem,
		Long: "Unregister MCP servers. No new call goes there; calls that are under way may end. What was approved is forgotten:\n" +
			"a server that is registered again has to be approved again.",
		Example: "  leat mcp unregister files",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, at directory.Config) error {
				for _, id := range args {
					there, err := directory.Remove(ctx, at, id)
					if err != nil {
						return err
					}
					if !there {
						all, err := directory.Read(ctx, at)
						if err != nil {
							return err
						}
						return missing(all, id)
					}
					if err := a.Print.Value(map[string]string{"unregistered": id}, func(w io.Writer) { _, _ = fmt.Fprintf(w, "unregistered subsystem %s\n", id) }); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}
