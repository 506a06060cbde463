package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// completeWithin bounds what a press of the tab key may cost.
const completeWithin = 300 * time.Millisecond

// completeType offers the deployed workflow types.
func (a *app) completeType(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var types []string
	a.complete(cmd, func(ctx context.Context, c *client.Client) {
		records, err := c.Definitions(ctx)
		if err != nil {
			return
		}
		for _, r := range records {
			types = append(types, r.WorkflowType)
		}
	})
	return types, cobra.ShellCompDirectiveNoFileComp
}

// completeInstance offers types, then the keys of the newest instances.
func (a *app) completeInstance(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return a.completeType(cmd, args, begin)
	}
	var keys []string
	a.complete(cmd, func(ctx context.Context, c *client.Client) {
		page, err := c.List(ctx, client.ListRequest{Type: args[0], Limit: 200})
		if err != nil {
			return
		}
		for _, s := range page.Items {
			if s.Key != "" && s.Key == events.Show(s.Key) && strings.HasPrefix(s.Key, begin) {
				keys = append(keys, s.Key)
			}
		}
	})
	return keys, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) complete(cmd *cobra.Command, f func(context.Context, *client.Client)) {
	if a.configure(cmd) != nil {
		return
	}
	c, err := a.client()
	if err != nil {
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	f(ctx, c)
}
