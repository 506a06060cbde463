package facts

import (
	"errors"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// readParent reads whose child the instance is from its workflow.created event.
func readParent(c *events.Command, e *events.Event) error {
	workflowType, id, found := strings.Cut(e.Data["parent"].Str(), "/")
	if !found {
		return nil
	}
	c.Parent = &events.Parent{
		WorkflowType: workflowType, Attempt: int32(e.Data["parent_attempt"].Int()), Generation: int32(e.Data["generation"].Int()), //nolint:gosec // both are int32
	}
	var noRoot error
	if root := e.Data["root"].Str(); root != "" { // earlier versions had none
		noRoot = c.Parent.Root.UnmarshalText([]byte(root))
	}
	return errors.Join(noRoot, c.Parent.InstanceID.UnmarshalText([]byte(id)), c.Parent.TaskID.UnmarshalText([]byte(e.Data["parent_task"].Str())))
}
