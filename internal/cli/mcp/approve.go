package mcp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/directory"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// confirmation is how somebody says yes.
type confirmation struct {
	yes bool
	pin string
}

func (c *confirmation) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "approve what is shown, without a question")
}

// approval is a tool that somebody approves, and what was shown of it.
type approval struct {
	Subsystem string           `json:"subsystem_id"`
	Tool      string           `json:"tool"`
	Status    catalog.Status   `json:"status"` // before: new or changed
	Pin       string           `json:"pin"`
	Before    string           `json:"before,omitempty"` // the pin that was approved
	Changes   []catalog.Change `json:"changes"`
	Approved  bool             `json:"approved"`
}

func (a *app) approveCommand() *cobra.Command {
	var c confirmation
	var revoke bool
	cmd := &cobra.Command{
		Use: "approve SUBSYSTEM[/TOOL]...", Short: "Approve tools as they are now", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeSubsystem,
		Long: "Approve tools of MCP servers as they are now. What differs from what was approved before is shown first: the description,\n" +
			"the schemas and the annotations, of a new tool all of it. Read it as what a stranger wrote. Tools that have not changed are\n" +
			"left as they are.\n\n" +
			"The approval is of what was shown, by its pin: when the server changes the tool again in between, it has no effect.",
		Example: "  leat mcp approve files                     # shows every new and changed tool, and asks\n" +
			"  leat mcp approve files/read_file --yes\n" +
			"  leat mcp approve files/read_file --pin 3f5a…  # of several that executors see\n" +
			"  leat mcp approve files/write_file --revoke",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ctx context.Context, at directory.Config) error {
				if revoke {
					return a.revoke(ctx, at, args)
				}
				return a.approve(ctx, at, args, &c)
			})
		},
	}
	cmd.Flags().SortFlags = false
	c.flags(cmd)
	cmd.Flags().StringVar(&c.pin, "pin", "", "approve the description with this pin, or with a pin that begins so")
	cmd.Flags().BoolVar(&revoke, "revoke", false, "take the approval of the tools back")
	return cmd
}

// approve shows what there is to approve, asks, and writes.
func (a *app) approve(ctx context.Context, at directory.Config, args []string, c *confirmation) error {
	all, err := directory.Read(ctx, at)
	if err != nil {
		return err
	}
	rows, err := selected(all, args, time.Now())
	if err != nil {
		return err
	}
	list := []approval{}
	for _, r := range rows {
		next, err := pending(all, &r, c.pin)
		if err != nil {
			return err
		}
		if next != nil {
			list = append(list, *next)
		}
	}
	if len(list) == 0 {
		return a.Print.Value(list, func(w io.Writer) { _, _ = fmt.Fprintln(w, "nothing to approve") })
	}
	if err := a.confirm(list, c.yes); err != nil {
		return err
	}
	if err := a.write(ctx, at, list); err != nil {
		return err
	}
	return a.Print.Value(list, func(w io.Writer) {
		for _, p := range list {
			_, _ = fmt.Fprintf(w, "approved %s/%s (pin %s)\n", p.Subsystem, p.Tool, p.Pin[:12])
		}
	})
}

// pending is what there is to approve of a tool, nil for nothing.
func pending(all *catalog.Catalog, r *catalog.Row, pin string) (*approval, error) {
	if !r.Pending() {
		return nil, nil
	}
	var meant []catalog.Seen
	for _, seen := range r.Listed {
		if strings.HasPrefix(seen.Pin, pin) && (r.Approved == nil || seen.Pin != r.Approved.Pin) {
			meant = append(meant, seen)
		}
	}
	name := r.SubsystemID + "/" + r.Name
	switch {
	case len(meant) == 0:
		return nil, problem.New(problem.ToolUnseen, "no executor sees "+name+" with the pin "+pin, "", "leat mcp tools "+name+" shows the pins")
	case len(meant) > 1:
		var pins []string
		for _, seen := range meant {
			pins = append(pins, seen.Pin[:12]+" on "+strings.Join(seen.Nodes, ", "))
		}
		return nil, problem.New(problem.ToolUnseen, "executors see "+name+" in more than one way", strings.Join(pins, "; "), "say which one is meant: --pin "+meant[0].Pin[:12])
	case meant[0].Tool == nil:
		return nil, problem.New(problem.ToolUnseen, "the description of "+name+" is not there yet", "an executor is about to write it", "")
	}
	p := &approval{Subsystem: r.SubsystemID, Tool: r.Name, Status: r.Status, Pin: meant[0].Pin}
	var before *events.MCPTool
	if r.Approved != nil {
		p.Before = r.Approved.Pin
		if t, ok := all.Tool(r.SubsystemID, r.Approved.Pin); ok {
			before = &t
		}
	}
	p.Changes = catalog.Difference(before, meant[0].Tool)
	return p, nil
}

// confirm shows what is to be approved, and gets a yes.
func (a *app) confirm(list []approval, yes bool) error {
	if a.Print.Format == "table" {
		for _, p := range list {
			a.Print.Say("%s", p.text())
		}
	}
	switch {
	case yes:
		return nil
	case !ops.IsTerminal(a.In) || a.Print.Format != "table":
		if a.Print.Format != "table" {
			if err := a.Print.Value(list, nil); err != nil {
				return err
			}
		}
		return problem.New(problem.Unconfirmed, fmt.Sprintf("%d %s not approved", len(list), tools(len(list))), "nobody can be asked here", "read what is shown, and approve it with --yes")
	}
	_, _ = fmt.Fprintf(a.Err, "Approve %d %s? [y/N] ", len(list), tools(len(list)))
	answer, _ := bufio.NewReader(a.In).ReadString('\n') // no answer is no
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return problem.New(problem.Unconfirmed, "nothing was approved", "the answer was no", "")
	}
	return nil
}

func tools(n int) string {
	if n == 1 {
		return "tool"
	}
	return "tools"
}

// text is a tool for people: what changed, line by line.
func (p *approval) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s is %s, pin %s\n", p.Subsystem, p.Tool, p.Status, p.Pin[:12])
	if p.Status == catalog.StatusChanged {
		fmt.Fprintf(&b, "approved was pin %s\n", p.Before[:12])
	}
	for _, change := range p.Changes {
		fmt.Fprintf(&b, "  %s\n", change.Part)
		for _, line := range change.Lines {
			fmt.Fprintf(&b, "  %s %s\n", line.Op, line.Text)
		}
	}
	return b.String()
}

// write approves by the pins that were shown, one server after the other.
func (a *app) write(ctx context.Context, at directory.Config, list []approval) error {
	byServer := make(map[string][]*approval)
	var order []string
	for i := range list {
		id := list[i].Subsystem
		if byServer[id] == nil {
			order = append(order, id)
		}
		byServer[id] = append(byServer[id], &list[i])
	}
	for _, id := range order {
		err := directory.Change(ctx, at, id, func(all *catalog.Catalog) (*events.MCPSubsystem, error) {
			s, ok := all.Subsystem(id)
			if !ok {
				return nil, missing(all, id)
			}
			now := events.Instant(time.Now())
			for _, p := range byServer[id] {
				s = catalog.Approve(s, events.MCPApproval{Name: p.Tool, Pin: p.Pin, At: now, By: at.Kafka.ClientID})
				p.Approved = true
			}
			s.UpdatedAt, s.UpdatedBy = now, at.Kafka.ClientID
			return &s, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// revoke takes approvals back.
func (a *app) revoke(ctx context.Context, at directory.Config, args []string) error {
	all, err := directory.Read(ctx, at)
	if err != nil {
		return err
	}
	rows, err := selected(all, args, time.Now())
	if err != nil {
		return err
	}
	revoked := []string{}
	for _, r := range rows {
		if r.Approved == nil {
			continue
		}
		err := directory.Change(ctx, at, r.SubsystemID, func(all *catalog.Catalog) (*events.MCPSubsystem, error) {
			s, ok := all.Subsystem(r.SubsystemID)
			if !ok {
				return nil, missing(all, r.SubsystemID)
			}
			s = catalog.Revoke(s, r.Name)
			s.UpdatedAt, s.UpdatedBy = events.Instant(time.Now()), at.Kafka.ClientID
			return &s, nil
		})
		if err != nil {
			return err
		}
		revoked = append(revoked, r.SubsystemID+"/"+r.Name)
	}
	return a.Print.Value(map[string][]string{"revoked": revoked}, func(w io.Writer) {
		for _, name := range revoked {
			_, _ = fmt.Fprintf(w, "revoked %s\n", name)
		}
		if len(revoked) == 0 {
			_, _ = fmt.Fprintln(w, "nothing was approved")
		}
	})
}

// approveWhenListed waits until an executor lists tools of the servers.
func (a *app) approveWhenListed(ctx context.Context, at directory.Config, ids []string, c *confirmation) error {
	for _, id := range ids {
		for {
			all, err := directory.Read(ctx, at)
			if err != nil {
				return err
			}
			listed := false
			for _, r := range all.Rows(id, time.Now()) {
				listed = listed || len(r.Listed) > 0 && r.Listed[0].Tool != nil
			}
			if listed {
				break
			}
			select {
			case <-ctx.Done():
				return problem.New(problem.ToolUnseen, "no executor lists tools of "+id, why(all, id), "leat mcp health "+id+" says more; then leat mcp approve "+id)
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return a.approve(ctx, at, ids, c)
}

// why says how executors see a server.
func why(all *catalog.Catalog, id string) string {
	var lines []string
	for _, h := range all.Health(id) {
		if catalog.Live(&h, time.Now()) {
			lines = append(lines, fmt.Sprintf("%s: %s, %s %s", h.NodeID, h.Health, h.Reason, h.Message))
		}
	}
	if len(lines) == 0 {
		return "no executor can reach it: they need --mcp-allow for http, --mcp-command for stdio"
	}
	return strings.Join(lines, "\n")
}
