package router

import (
	"context"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/decide"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// settle makes sure that everybody whom a decision writes to can be written to.
// A child of a type that is not deployed becomes a failed result, so that its
// parent goes on. The error is that the definitions cannot be read, and then it
// is not known what is deployed.
func (t *transaction) settle(ctx context.Context, in decide.Input, d *decide.Decision) error {
	for i := range d.Signals {
		if _, err := t.deployed(ctx, d.Signals[i].Type); err != nil {
			return err
		}
	}
	kept := d.Sends[:0]
	for _, c := range d.Sends {
		known, err := t.deployed(ctx, c.WorkflowType)
		switch {
		case err != nil:
			return err
		case known:
			kept = append(kept, c)
		case c.Command == events.CommandStart:
			kept = append(kept, decide.NoChild(in, &c))
		default:
			t.lane.config.Logger.LogAttrs(ctx, slog.LevelWarn, "nobody can be told: the type is not deployed",
				slog.String("command", string(c.Command)), slog.String("type", c.WorkflowType), slog.String("instance", c.InstanceID.String()))
		}
	}
	d.Sends = kept
	return nil
}

// deployed reports whether there are topics of a type. Before it says no, it
// makes sure to know everything that is deployed.
func (t *transaction) deployed(ctx context.Context, workflowType string) (bool, error) {
	if t.lane.registry.Partitions(workflowType) > 0 || t.synced {
		return t.lane.registry.Partitions(workflowType) > 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := t.lane.registry.Sync(ctx); err != nil {
		return false, err
	}
	t.synced = true
	return t.lane.registry.Partitions(workflowType) > 0, nil
}

// send writes a command to the instance that it is for.
func (t *transaction) send(c *events.Command) (*kafka.Record, error) {
	value, err := avro.EncodeCommand(c)
	key := []byte(c.InstanceID.String())
	partition := topics.Partition(key, t.lane.registry.Partitions(c.WorkflowType))
	return kafka.NewRecordAt(t.lane.config.Names.Commands(c.WorkflowType), partition, key, value), err
}
