package client

import (
	"fmt"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// conditions are those of a request, as far as the instances read so far know
// their names.
type conditions struct {
	list     []events.Condition
	declared []bool // an instance declares the name of the condition under search
	any      bool   // there was an instance
}

func readConditions(texts []string) (*conditions, error) {
	c := &conditions{declared: make([]bool, len(texts))}
	for _, text := range texts {
		condition, err := events.ParseCondition(text)
		if err != nil {
			return nil, invalid(err)
		}
		c.list = append(c.list, condition)
	}
	return c, nil
}

// hold reports whether an instance satisfies all conditions.
func (c *conditions) hold(s *Instance) bool {
	c.any = true
	all := true
	for i, condition := range c.list {
		declares := slices.Contains(s.Search, condition.Name)
		c.declared[i] = c.declared[i] || declares
		all = all && declares && condition.Holds(s.Chart.Data[condition.Name])
	}
	return all
}

// unknown is the error for a name that no instance of the type declares: the
// list would be empty for a reason that nobody sees.
func (c *conditions) unknown(workflowType string) error {
	for i, condition := range c.list {
		if c.any && !c.declared[i] {
			return invalid(fmt.Errorf("no instance of %s declares %q under search", workflowType, condition.Name))
		}
	}
	return nil
}
