package client

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// DeployRequest is a definition to deploy.
type DeployRequest struct {
	Name   string // of the file, for messages
	Source []byte // YAML or JSON
	// Partitions of the type's topics and of new task queues; fixed for life.
	// Default: those of the versions that are there, else 32.
	// At most [events.MaxPartitions].
	Partitions int32
	// ReplicationFactor of topics that are made; default the broker's own.
	ReplicationFactor int16
}

// Deploy checks a definition, makes the topics of its type and of its task
// queues, and publishes it. It is idempotent: a version that is deployed with the
// same source is only checked again. Of two who deploy one version with different
// sources at the same time, one publishes and the other gets the error. The error is
// [ErrDefinition] with every finding, [ErrDeployed] when the version is there with
// another source, [ErrInvalid], [ErrTopic] or [ErrUnavailable]. Deploy needs Brokers.
func (c *Client) Deploy(ctx context.Context, r DeployRequest) (events.DefinitionRecord, error) {
	machine, _, err := definition.Parse(r.Name, r.Source)
	if err != nil {
		return events.DefinitionRecord{}, &Error{Code: ErrDefinition.Code, Message: err.Error(), Err: err}
	}
	if r.Partitions < 0 || r.Partitions > events.MaxPartitions {
		return events.DefinitionRecord{}, newError(ErrInvalid, nil, "deploy %s: %d is not a partition count: it is from 1 to %d, or 0 for the default",
			r.Name, r.Partitions, events.MaxPartitions)
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	admin, err := c.administering()
	if err != nil {
		return events.DefinitionRecord{}, err
	}
	if err := admin.Provision(ctx, kafka.Replicas(r.ReplicationFactor), c.names.Shared()...); err != nil {
		return events.DefinitionRecord{}, failed("deploy "+r.Name, err)
	}
	deployed, err := c.versionsOf(ctx, machine.Type())
	if err != nil {
		return events.DefinitionRecord{}, err
	}
	record := events.DefinitionRecord{
		WorkflowType: machine.Type(), Version: machine.Version(), Source: string(r.Source),
		Partitions: partitionsOf(deployed, r.Partitions), DeployedAt: events.Instant(time.Now()), DeployedBy: c.config.Source,
	}
	there, err := compare(deployed, &record)
	if err != nil {
		return events.DefinitionRecord{}, err
	}
	specs, err := c.specs(ctx, admin, machine, record.Partitions, r.Partitions)
	if err != nil {
		return events.DefinitionRecord{}, failed("deploy "+r.Name, err)
	}
	if err := admin.Provision(ctx, kafka.Replicas(r.ReplicationFactor), specs...); err != nil {
		return events.DefinitionRecord{}, failed("deploy "+r.Name, err)
	}
	if there != nil && !slices.ContainsFunc(deployed, func(p *published) bool { return p.buried }) {
		return *there, nil
	}
	return c.publish(ctx, &record)
}

// specs lists the topics that a definition needs. A queue that is there keeps its
// own partition count, because other types use it too.
func (c *Client) specs(ctx context.Context, admin *kafka.Admin, machine *fsm.Machine, partitions, asked int32) ([]topics.Spec, error) {
	specs := c.names.Type(machine.Type(), partitions)
	var queues []string
	for _, task := range machine.Tasks() {
		queues = append(queues, topics.QueueOf(task))
	}
	slices.Sort(queues)
	for _, queue := range slices.Compact(queues) {
		n, err := admin.Partitions(ctx, c.names.Tasks(queue))
		if err != nil {
			return nil, err
		}
		specs = append(specs, c.names.Queue(queue, cmp.Or(n, asked, partitions))...)
	}
	return specs, nil
}

// Definitions lists every deployed version of every definition, by type and
// version. The error is [ErrUnavailable] or [ErrProjector].
func (c *Client) Definitions(ctx context.Context) ([]events.DefinitionRecord, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	if c.config.API != "" {
		return c.definitionsAPI(ctx)
	}
	return c.definitionsDirect(ctx)
}

// Definition is one deployed version of a type's definition, the newest for
// version 0. The error is [ErrUnknownType] when there is none.
func (c *Client) Definition(ctx context.Context, workflowType string, version int32) (events.DefinitionRecord, error) {
	all, err := c.Definitions(ctx)
	if err != nil {
		return events.DefinitionRecord{}, err
	}
	var versions []string
	var found events.DefinitionRecord
	for _, d := range all {
		if d.WorkflowType != workflowType {
			continue
		}
		versions = append(versions, strconv.Itoa(int(d.Version)))
		if d.Version == version || version == 0 && d.Version > found.Version {
			found = d
		}
	}
	switch {
	case found.Version != 0:
		return found, nil
	case len(versions) == 0:
		return found, c.unknownType(ctx, workflowType, nil)
	default:
		return found, newError(ErrUnknownType, nil, "version %d of %s is not deployed; there is %s", version, workflowType, strings.Join(versions, ", "))
	}
}

// definitionsDirect is what the definitions topic says, without a projector.
func (c *Client) definitionsDirect(ctx context.Context) ([]events.DefinitionRecord, error) {
	all, err := c.published(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]events.DefinitionRecord, 0, len(all))
	for _, records := range all {
		for _, p := range counting(records, false) {
			list = append(list, p.record)
		}
	}
	slices.SortFunc(list, func(a, b events.DefinitionRecord) int {
		return cmp.Or(cmp.Compare(a.WorkflowType, b.WorkflowType), cmp.Compare(a.Version, b.Version))
	})
	return list, nil
}
