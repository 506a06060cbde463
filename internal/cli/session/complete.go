package session

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

// CompleteType offers the deployed workflow types.
func (s *Session) CompleteType(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var types []string
	s.Complete(cmd, func(ctx context.Context, c *client.Client) {
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

// CompleteInstance offers types, then the keys of the newest instances.
func (s *Session) CompleteInstance(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return s.CompleteType(cmd, args, begin)
	}
	var keys []string
	s.Complete(cmd, func(ctx context.Context, c *client.Client) {
		page, err := c.List(ctx, client.ListRequest{Type: args[0], Limit: 200})
		if err != nil {
			return
		}
		for _, i := range page.Items {
			if i.Key != "" && i.Key == events.Show(i.Key) && strings.HasPrefix(i.Key, begin) {
				keys = append(keys, i.Key)
			}
		}
	})
	return keys, cobra.ShellCompDirectiveNoFileComp
}

// Complete runs f for a press of the tab key: shortly, and silently when anything
// is away.
func (s *Session) Complete(cmd *cobra.Command, f func(context.Context, *client.Client)) {
	if s.Configure(cmd) != nil {
		return
	}
	c, err := s.client(s.API())
	if err != nil {
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	f(ctx, c)
}
