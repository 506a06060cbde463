package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// client connects when it is first used. Reading asks the projector, unless
// brokers are named and no projector is: then it reads the topics themselves,
// so that every command works against any Kafka.
func (a *app) client() (*client.Client, error) {
	logger, err := a.logger("error") // the command itself says what is wrong
	if err != nil {
		return nil, err
	}
	k, err := a.settings.Kafka(logger)
	if err != nil {
		return nil, err
	}
	api := a.api()
	return client.New(client.Config{
		Brokers: k.Brokers, Prefix: a.settings.Text("prefix"), API: api, ClientID: k.ClientID, TLS: k.TLS,
		SASL: client.SASL(k.SASL), Timeout: a.settings.Duration("timeout"), Logger: logger,
	})
}

// api is the projector to ask, "" for none.
func (a *app) api() string {
	if a.settings.Given("kafka.brokers") && !a.settings.Given("api") {
		return ""
	}
	return a.settings.Text("api")
}

// need says what a command cannot do without.
type need int

const (
	needsReader need = iota // a projector, or Kafka in its place
	needsKafka
)

// with runs f with a client and a context that --timeout bounds. patient is for
// what may take any time: only a --timeout that was asked for bounds it.
func (a *app) with(ctx context.Context, n need, patient bool, f func(context.Context, *client.Client) error) error {
	if n == needsKafka || a.api() == "" {
		if err := boot.Reach(ctx, a.settings.List("kafka.brokers")); err != nil {
			return err
		}
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if patient && !a.settings.Given("timeout") {
		return f(ctx, c)
	}
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	return f(ctx, c)
}

// target is the instance that a command means: a business key, or id:UUID. A
// bare UUID is a key too. Only where there is no instance of that key, and one
// whose id it is, the id is meant.
func (a *app) target(ctx context.Context, workflowType, name string) (id events.UUID, key string, err error) {
	if name == "" {
		return events.Nil, "", problem.New(problem.Usage, "the name of the workflow is empty", "is a variable empty?", "give its key, or id:UUID")
	}
	ref := events.ParseRef(name)
	if _, err := events.ParseUUID(name); err != nil {
		return ref.ID, ref.Key, nil //nolint:nilerr // not a bare UUID
	}
	err = a.with(ctx, needsReader, false, func(ctx context.Context, c *client.Client) error {
		s, err := c.Get(ctx, workflowType, name, client.GetOptions{})
		id = s.InstanceID
		return err
	})
	if err != nil || id == ref.InstanceID(workflowType) { // it may have been started just now
		return events.Nil, name, nil //nolint:nilerr // whoever takes the command says what is wrong
	}
	return id, "", nil
}

// byID gives a command that takes KEY|ID a flag in place of that argument.
func byID(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		byID(sub)
	}
	if !strings.Contains(cmd.Use, " TYPE KEY|ID") {
		return
	}
	var id string
	cmd.Flags().StringVar(&id, "id", "", "instance id, a UUID, in place of KEY|ID")
	whole := func(args []string) []string {
		if !cmd.Flags().Changed("id") || len(args) == 0 {
			return args
		}
		return slices.Insert(slices.Clone(args), 1, "id:"+strings.TrimPrefix(id, "id:"))
	}
	check, run := cmd.Args, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, args []string) error { return check(cmd, whole(args)) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := events.ParseUUID(strings.TrimPrefix(id, "id:")); err != nil && cmd.Flags().Changed("id") {
			return problem.New(problem.Usage, "--id is not a UUID", err.Error(), "leat list shows the ids")
		}
		return run(cmd, whole(args))
	}
}

// nameOf is how a workflow is called in a command that is shown.
func nameOf(s *client.Instance) string { return events.NameOf(s.WorkflowType, s.Key, s.InstanceID) }

// fullState names what a snapshot says in one word or two.
func fullState(s *client.Instance) string {
	return string(s.State) + " in " + strings.Join(s.Chart.Active, ", ")
}
