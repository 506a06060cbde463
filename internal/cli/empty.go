package cli

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/leat-io/leat/internal/problem"
)

// naming are the flags that say which thing is meant, and what goes wrong when an
// empty one is taken for a missing one. An empty variable of a script leaves it behind.
var naming = map[string]string{
	"key":             "without a key every start creates another workflow",
	"idempotency-key": "without one a repeated command is not recognised as a duplicate",
	"id":              "without an id another instance would be meant",
	"instance":        "without an instance all of them are meant",
	"type":            "without a type all of them are meant",
	"state":           "without a state all of them are meant",
	"workflow-state":  "without a state all of them are meant",
	"assignee":        "without an assignee everybody is meant",
	"where":           "without a condition everything is meant",
	"as":              "the history records who did it",
}

// refuseEmpty makes every command refuse such a flag when it is there and empty.
func refuseEmpty(c *cobra.Command) {
	for _, sub := range c.Commands() {
		refuseEmpty(sub)
	}
	run := c.RunE
	if run == nil {
		return
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if why, ok := naming[f.Name]; ok && err == nil && isEmpty(f.Value) {
				err = problem.New(problem.Usage, "--"+f.Name+" is empty", why+"; is a variable empty?", "give one, or leave --"+f.Name+" out")
			}
		})
		if err != nil {
			return err
		}
		return run(cmd, args)
	}
}

// isEmpty: a flag that may be given again is empty when one of them is.
func isEmpty(v pflag.Value) bool {
	if list, ok := v.(pflag.SliceValue); ok {
		return slices.Contains(list.GetSlice(), "")
	}
	return v.String() == ""
}
