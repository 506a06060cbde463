package def

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/output"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

func (a *app) deployCommand() *cobra.Command {
	var partitions int32
	cmd := &cobra.Command{
		Use: "deploy FILE...", Short: "Check definitions, create their topics and publish them", Args: cobra.MinimumNArgs(1),
		Long: "Check definitions, create the topics of their types and task queues, and publish them. A deployed version never\n" +
			"changes: deploying the same file again does nothing, other content needs a new `version`.",
		Example: "  leat def deploy order.yaml\n  leat def deploy order.yaml payment.yaml --partitions 64\n  cat order.yaml | leat def deploy -",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.With(cmd.Context(), session.Kafka, false, func(ctx context.Context, c *client.Client) error { return a.deploy(ctx, c, args, partitions) })
		},
	}
	cmd.Flags().Int32Var(&partitions, "partitions", 0, "partitions of the type, fixed for life (default: 32, on leat dev 8; at most 512)")
	return cmd
}

// deploy checks every file before it publishes the first.
func (a *app) deploy(ctx context.Context, c *client.Client, paths []string, partitions int32) error {
	if err := input.Partitions(int(partitions), 0); err != nil {
		return err
	}
	var requests []client.DeployRequest
	var types, tasks []string
	for _, path := range paths {
		src, err := input.Text(a.In, path)
		if err != nil {
			return err
		}
		machine, findings, err := definition.Parse(path, src)
		if err != nil {
			return input.NoDefinition(path, findings, err)
		}
		for _, f := range findings {
			a.Print.Say("%s", f)
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
		if a.API() != "" {
			awaitView(ctx, c, d.WorkflowType, d.Version)
		}
	}
	a.noteUnserved(ctx, tasks)
	return output.List(a.Print, done, definitionRows)
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
	k, err := a.Settings.Kafka(nil)
	if err != nil {
		return events.DefinitionRecord{}, err
	}
	r.Partitions = boot.DevPartitions(ctx, k, a.Settings.Text("api"))
	return c.Deploy(ctx, r)
}
