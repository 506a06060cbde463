package def

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// deployed is a definition without its source.
type deployed struct {
	Type       string `json:"type"`
	Version    int32  `json:"version"`
	Partitions int32  `json:"partitions"`
	DeployedAt string `json:"deployed_at"`
	DeployedBy string `json:"deployed_by,omitempty"`
	Source     string `json:"source,omitempty"`
}

func describe(d *events.DefinitionRecord) deployed {
	return deployed{
		Type: d.WorkflowType, Version: d.Version, Partitions: d.Partitions,
		DeployedAt: d.DeployedAt.Format("2006-01-02T15:04:05Z07:00"), DeployedBy: d.DeployedBy,
	}
}

func definitionRows(items []deployed) output.Rows {
	r := output.Rows{Header: []string{"type", "version", "partitions", "deployed", "by"}, Right: []int{2, 3}}
	for _, d := range items {
		r.Lines = append(r.Lines, []string{d.Type, strconv.Itoa(int(d.Version)), strconv.Itoa(int(d.Partitions)), d.DeployedAt, d.DeployedBy})
	}
	return r
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List deployed definitions", Args: cobra.NoArgs,
		Example: "  leat def list\n  leat def list -o jsonl | jq .type",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
				records, err := c.Definitions(ctx)
				if err != nil {
					return err
				}
				items := make([]deployed, len(records))
				for i := range records {
					items[i] = describe(&records[i])
				}
				if err := output.List(a.Print, items, definitionRows); err != nil {
					return err
				}
				if len(items) == 0 && a.Print.Format == "table" {
					a.Print.Say("nothing is deployed; leat def deploy FILE deploys a definition")
				}
				return nil
			})
		},
	}
}

func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get TYPE[@VERSION]", Short: "Print a deployed definition", Args: cobra.ExactArgs(1),
		Example:           "  leat def get order\n  leat def get order@2 > order-2.yaml\n  leat def get order -o json",
		ValidArgsFunction: a.CompleteType,
		RunE: func(cmd *cobra.Command, args []string) error {
			workflowType, version, err := splitVersion(args[0])
			if err != nil {
				return err
			}
			return a.With(cmd.Context(), session.Reader, false, func(ctx context.Context, c *client.Client) error {
				d, err := c.Definition(ctx, workflowType, version)
				if err != nil {
					return err
				}
				out := describe(&d)
				out.Source = d.Source
				return a.Print.Value(out, func(w io.Writer) { _, _ = io.WriteString(w, strings.TrimRight(d.Source, "\n")+"\n") })
			})
		},
	}
}

func splitVersion(arg string) (workflowType string, version int32, err error) {
	workflowType, text, found := strings.Cut(arg, "@")
	if !found {
		return workflowType, 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return "", 0, problem.New(problem.Usage, fmt.Sprintf("%q is not a version", text), "versions are 1, 2, 3, …", "leat def get "+workflowType+"@1")
	}
	return workflowType, int32(n), nil
}
