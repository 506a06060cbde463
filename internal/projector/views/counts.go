package views

import (
	"encoding/binary"
	"fmt"

	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// The first byte of a counter's name, behind the type.
const (
	countInstances = 'i'
	countEvents    = 'e'
	countWorkflow  = 'w' // followed by a workflow state
	countChart     = 's' // followed by a chart state
)

// Counts is how many instances of a type stand where: sums over its current
// snapshots, and the events of its history.
type Counts struct {
	Workflow  map[events.WorkflowState]int64 `json:"workflow_state"`
	State     map[string]int64               `json:"state"`
	Instances int64                          `json:"instances"`
	Events    int64                          `json:"events"`
}

// tally collects the changes that one batch makes to counters, by key.
type tally map[string]int64

func (t tally) add(workflowType string, counter byte, of string, n int64) {
	key := append(append(typed(prefixCount, workflowType), counter), of...)
	t[string(key)] += n
}

// addCard counts what one instance contributes; n is -1 to take it away.
func (t tally) addCard(workflowType string, c *card, n int64) {
	if c == nil {
		return
	}
	t.add(workflowType, countInstances, "", n)
	t.add(workflowType, countWorkflow, string(c.Workflow), n)
	for _, state := range c.states {
		t.add(workflowType, countChart, state, n)
	}
}

// write adds the changes to what is stored. A counter of zero has no row, so
// that a rebuild gives the same store.
func (t tally) write(db *store.DB, batch *store.Batch) error {
	for key, delta := range t {
		if delta == 0 {
			continue
		}
		value, ok, err := db.Get([]byte(key))
		if err != nil {
			return err
		}
		var n int64
		if ok {
			if n, err = decodeCount(value); err != nil {
				return err
			}
		}
		if n += delta; n == 0 {
			batch.Delete([]byte(key))
		} else {
			batch.Set([]byte(key), binary.AppendVarint(nil, n))
		}
	}
	return nil
}

func decodeCount(value []byte) (int64, error) {
	n, size := binary.Varint(value)
	if size != len(value) {
		return 0, fmt.Errorf("count: %w", errTorn)
	}
	return n, nil
}

// CountsOf reads the counts of a type; all are zero for a type without records.
func CountsOf(db *store.DB, workflowType string) (Counts, error) {
	c := Counts{Workflow: map[events.WorkflowState]int64{}, State: map[string]int64{}}
	prefix := typed(prefixCount, workflowType)
	from, to := span(prefix)
	err := db.Scan(from, to, func(key, value []byte) (bool, error) {
		n, err := decodeCount(value)
		if err != nil {
			return false, err
		}
		switch of := string(key[len(prefix)+1:]); key[len(prefix)] {
		case countInstances:
			c.Instances = n
		case countEvents:
			c.Events = n
		case countWorkflow:
			c.Workflow[events.WorkflowState(of)] = n
		case countChart:
			c.State[of] = n
		}
		return true, nil
	})
	return c, err
}

// MaxCounted bounds the instances that one count with conditions reads.
const MaxCounted = 500_000

// CountWhere counts the instances of a type that satisfy the conditions. Partial
// says that there are more than it may read.
func CountWhere(db *store.DB, workflowType string, conditions []Where, most int) (c Counts, partial bool, err error) {
	c = Counts{Workflow: map[events.WorkflowState]int64{}, State: map[string]int64{}}
	l := lister{db: db, filter: Filter{Type: workflowType, Where: conditions, Oldest: true, Limit: -1}, left: most}
	l.visit = func(i *Instance) {
		c.Instances++
		c.Workflow[i.Workflow]++
		for _, state := range i.states {
			c.State[state]++
		}
	}
	err = l.scan(workflowType, nil)
	return c, l.next != nil, err
}
