package facts

import (
	"fmt"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// readCreated fills a start from its workflow.created event, also whose child the
// instance is.
func readCreated(c *events.Command, e *events.Event) error {
	var d events.WorkflowCreatedData
	if err := events.DecodeData(e.Data, &d); err != nil {
		return err
	}
	c.Key, c.Priority = d.Key, d.Priority
	if d.Parent == nil {
		return nil
	}
	workflowType, id, _ := strings.Cut(d.Parent.Parent, "/")
	instance, err := events.ParseUUID(id)
	if err != nil {
		return fmt.Errorf("parent: %w", err)
	}
	c.Parent = &events.Parent{
		WorkflowType: workflowType, InstanceID: instance, TaskID: d.Parent.Task, Attempt: d.Parent.Attempt,
		Generation: d.Parent.Generation, Root: d.Parent.Root,
	}
	return nil
}
