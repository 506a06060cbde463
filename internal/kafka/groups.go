package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Members counts the members of consumer groups; a group that does not exist has none.
func (a *Admin) Members(ctx context.Context, groups ...string) (map[string]int, error) {
	described, err := a.admin.DescribeGroups(ctx, groups...)
	if err != nil {
		return nil, fmt.Errorf("describe groups: %w", err)
	}
	members := make(map[string]int, len(groups))
	for _, g := range described {
		if g.Err != nil && !errors.Is(g.Err, kerr.GroupIDNotFound) {
			return nil, fmt.Errorf("describe group %q: %w", g.Group, g.Err)
		}
		members[g.Group] = len(g.Members)
	}
	return members, nil
}
