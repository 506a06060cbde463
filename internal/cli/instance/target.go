package instance

import (
	"context"
	"strings"

	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// target is the instance that a command means: a business key, or id:UUID. A
// bare UUID is a key too. Only where there is no instance of that key, and one
// whose id it is, the id is meant.
func (a *app) target(ctx context.Context, workflowType, name string) (id events.UUID, key string, err error) {
	if name == "" {
		return events.Nil, "", problem.New(problem.Usage, "the key of the workflow is empty", "is a variable empty?", "give its key, or id:UUID")
	}
	ref := events.ParseRef(name)
	if _, err := events.ParseUUID(name); err != nil {
		return ref.ID, ref.Key, nil //nolint:nilerr // not a bare UUID
	}
	err = a.With(ctx, session.Reader, false, func(ctx context.Context, c *client.Client) error {
		s, err := c.Get(ctx, workflowType, name, client.GetOptions{})
		id = s.InstanceID
		return err
	})
	if err != nil || id == ref.InstanceID(workflowType) { // it may have been started just now
		return events.Nil, name, nil //nolint:nilerr // the router says what is wrong
	}
	return id, "", nil
}

// nameOf is how a workflow is called in a command that is shown.
func nameOf(s *client.Instance) string { return events.NameOf(s.WorkflowType, s.Key, s.InstanceID) }

// FullState names what a snapshot says in one word or two.
func FullState(s *client.Instance) string {
	return string(s.State) + " in " + strings.Join(s.Chart.Active, ", ")
}
