package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

func (a *app) defDeployCommand() *cobra.Command {
	var partitions int32
	cmd := &cobra.Command{
		Use: "deploy FILE...", Short: "Check definitions, make their topics and publish them", Args: cobra.MinimumNArgs(1),
		Long: "Check definitions, make the topics of their types and task queues, and publish them. A deployed version never\n" +
			"changes: deploying the same file again does nothing, other content needs a new `version`.",
		Example: "  leat def deploy order.yaml\n  leat def deploy order.yaml payment.yaml --partitions 64\n  cat order.yaml | leat def deploy -",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), needsKafka, false, func(ctx context.Context, c *client.Client) error { return a.deploy(ctx, c, args, partitions) })
		},
	}
	cmd.Flags().Int32Var(&partitions, "partitions", 0, "partitions of the type, fixed for life (default: 32; on `leat dev` 8; at most 512)")
	return cmd
}

// deploy checks every file before it publishes the first.
func (a *app) deploy(ctx context.Context, c *client.Client, paths []string, partitions int32) error {
	if err := checkPartitions(int(partitions), 0); err != nil {
		return err
	}
	var requests []client.DeployRequest
	var types, tasks []string
	for _, path := range paths {
		src, err := a.readText(path)
		if err != nil {
			return err
		}
		machine, findings, err := definition.Parse(path, src)
		if err != nil {
			return explainSource(path, findings, err)
		}
		for _, f := range findings {
			a.print.say("%s", f)
		}
		requests = append(requests, client.DeployRequest{Name: path, Source: src, Partitions: partitions})
		types, tasks = append(types, machine.Type()), append(tasks, machine.Tasks()...)
	}
	var done []deployed
	for i, r := range requests {
		d, err := a.deployOne(ctx, c, types[i], r)
		if err != nil {
			return err
		}
		done = append(done, describe(&d))
		if a.api() != "" {
			awaitView(ctx, c, d.WorkflowType, d.Version)
		}
	}
	a.noteUnserved(ctx, tasks)
	return list(a.print, done, definitionRows)
}

// checkPartitions refuses a count that no deployed definition may have.
func checkPartitions(n, least int) error {
	switch {
	case n < least:
		return problem.New(problem.Usage, "--partitions must be at least 1", fmt.Sprintf("it is %d", n), "")
	case n > events.MaxPartitions:
		return problem.New(problem.Usage, fmt.Sprintf("--partitions must be at most %d", events.MaxPartitions), fmt.Sprintf("it is %d", n), "")
	}
	return nil
}

// viewWithin is how long deploy waits for the projector to see what it wrote.
const viewWithin = 2 * time.Second

// awaitView makes `leat def list` after a deploy show it. What is deployed is
// so without it: a projector that is slow or away is no error here.
func awaitView(ctx context.Context, c *client.Client, workflowType string, version int32) {
	ctx, cancel := context.WithTimeout(ctx, viewWithin)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := c.Definition(ctx, workflowType, version); err == nil || errors.Is(err, client.ErrProjector) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// deployOne deploys with the partition count of a laptop on a laptop.
func (a *app) deployOne(ctx context.Context, c *client.Client, workflowType string, r client.DeployRequest) (events.DefinitionRecord, error) {
	if r.Partitions > 0 {
		return c.Deploy(ctx, r)
	}
	if _, err := c.Definition(ctx, workflowType, 0); err == nil {
		return c.Deploy(ctx, r) // the count is settled
	}
	k, err := a.settings.Kafka(nil)
	if err != nil {
		return events.DefinitionRecord{}, err
	}
	r.Partitions = boot.DevPartitions(ctx, k, a.settings.Text("api"))
	return c.Deploy(ctx, r)
}

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

func definitionRows(items []deployed) rows {
	r := rows{header: []string{"type", "version", "partitions", "deployed", "by"}, right: []int{2, 3}}
	for _, d := range items {
		r.lines = append(r.lines, []string{d.Type, strconv.Itoa(int(d.Version)), strconv.Itoa(int(d.Partitions)), d.DeployedAt, d.DeployedBy})
	}
	return r
}

func (a *app) defListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List deployed definitions", Args: cobra.NoArgs,
		Example: "  leat def list\n  leat def list -o jsonl | jq .type",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), needsReader, false, func(ctx context.Context, c *client.Client) error {
				records, err := c.Definitions(ctx)
				if err != nil {
					return err
				}
				items := make([]deployed, len(records))
				for i := range records {
					items[i] = describe(&records[i])
				}
				if err := list(a.print, items, definitionRows); err != nil {
					return err
				}
				if len(items) == 0 && a.print.format == "table" {
					a.print.say("nothing is deployed; leat def deploy FILE deploys a definition")
				}
				return nil
			})
		},
	}
}

func (a *app) defGetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get TYPE[@VERSION]", Short: "Print a deployed definition", Args: cobra.ExactArgs(1),
		Example:           "  leat def get order\n  leat def get order@2 > order-2.yaml\n  leat def get order -o json",
		ValidArgsFunction: a.completeType,
		RunE: func(cmd *cobra.Command, args []string) error {
			workflowType, version, err := splitVersion(args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), needsReader, false, func(ctx context.Context, c *client.Client) error {
				d, err := c.Definition(ctx, workflowType, version)
				if err != nil {
					return err
				}
				out := describe(&d)
				out.Source = d.Source
				return a.print.value(out, func(w io.Writer) { _, _ = io.WriteString(w, strings.TrimRight(d.Source, "\n")+"\n") })
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
		return "", 0, problem.New(problem.Usage, fmt.Sprintf("%q is no version", text), "versions are 1, 2, 3, …", "leat def get "+workflowType+"@1")
	}
	return workflowType, int32(n), nil
}
