package definition

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/fsm"
)

// The parts of a definition as words: complete, so that two of the same words
// mean the same, and without positions.

func transition(t *fsm.Transition) string {
	var b strings.Builder
	if len(t.Targets) > 0 {
		b.WriteString("to " + targets(t.Targets))
	} else {
		b.WriteString("stays")
	}
	if t.Internal {
		b.WriteString(" without leaving")
	}
	if t.Guard != nil {
		b.WriteString(" if " + t.Guard.Source)
	}
	b.WriteString(does(t.Assign, t.Actions))
	return b.String()
}

func targets(names []fsm.Name) string {
	ids := make([]string, len(names))
	for i, n := range names {
		ids[i] = n.ID
	}
	return strings.Join(ids, " and ")
}

// does says what is assigned and done, each after a comma.
func does(assign []fsm.Assign, actions []fsm.Action) string {
	var b strings.Builder
	for i := range assign {
		b.WriteString(", " + assign[i].Name + " = " + template(assign[i].Value))
	}
	for i := range actions {
		b.WriteString(", " + action(&actions[i]))
	}
	return b.String()
}

func action(a *fsm.Action) string {
	with := func(text string) string {
		if a.Data != nil {
			text += " with " + template(a.Data)
		}
		return text
	}
	switch a.Kind {
	case fsm.ActionAssign:
		return strings.TrimPrefix(does(a.Assign, nil), ", ")
	case fsm.ActionRaise:
		return with("raise " + a.Event)
	case fsm.ActionEmit:
		return with("emit " + a.Event)
	case fsm.ActionCancel:
		return "cancel " + a.Event
	case fsm.ActionCompensate:
		return "compensate " + a.Event
	case fsm.ActionLog:
		return "log " + template(a.Data)
	case fsm.ActionIf:
		text := "if " + a.If.Source + " then (" + strings.TrimPrefix(does(nil, a.Then), ", ") + ")"
		if len(a.Else) > 0 {
			text += " else (" + strings.TrimPrefix(does(nil, a.Else), ", ") + ")"
		}
		return text
	default:
		text := with("send " + a.Event)
		if a.To != nil {
			text += " to " + template(a.To)
		}
		if a.Type != "" {
			text += " of " + a.Type
		}
		if a.Delay != nil {
			text += " after " + delay(a.Delay)
		}
		if a.ID != "" {
			text += " as " + a.ID
		}
		return text
	}
}

func delay(d *fsm.Delay) string {
	if d.Expr != nil {
		return d.Expr.Source
	}
	return d.Fixed.String()
}

// template writes expressions bare and literals as JSON.
func template(t *fsm.Template) string {
	switch {
	case t == nil:
		return "null"
	case t.Expr != nil:
		return t.Expr.Source
	case t.Literal != nil:
		return string(t.Literal)
	case t.Fields != nil:
		list := make([]string, len(t.Fields))
		for i := range t.Fields {
			list[i] = t.Fields[i].Name + ": " + template(t.Fields[i].Value)
		}
		return "{" + strings.Join(list, ", ") + "}"
	default:
		list := make([]string, len(t.Items))
		for i := range t.Items {
			list[i] = template(t.Items[i])
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
}

func final(s *fsm.State) string {
	text := ""
	if s.Outcome != "" {
		text += ", " + string(s.Outcome)
	}
	if s.Output != nil {
		text += ", output " + template(s.Output)
	}
	if s.ErrorCode != nil {
		text += ", error code " + template(s.ErrorCode)
	}
	if s.ErrorMessage != nil {
		text += ", error message " + template(s.ErrorMessage)
	}
	return text
}

func history(s *fsm.State) string {
	text := ", shallow"
	if s.Deep {
		text = ", deep"
	}
	return text + ", else " + targets(s.Target)
}

func invocation(inv *fsm.Invocation) string {
	var b strings.Builder
	b.WriteString(inv.Task)
	add := func(set bool, format string, args ...any) {
		if set {
			fmt.Fprintf(&b, ", "+format, args...)
		}
	}
	add(inv.Input != nil, "input %s", template(inv.Input))
	t := inv.Timeouts
	add(t.StartToClose > 0, "%s from start to close", t.StartToClose)
	add(t.ScheduleToStart > 0, "%s from schedule to start", t.ScheduleToStart)
	add(t.ScheduleToClose > 0, "%s from schedule to close", t.ScheduleToClose)
	add(t.Heartbeat > 0, "heartbeat %s", t.Heartbeat)
	if r := inv.Retry; r != nil {
		add(true, "retry %s up to %d from %s by %g up to %s", r.Policy, r.MaxAttempts, r.Initial, r.Factor, r.Max)
		add(r.Jitter, "with jitter")
		add(len(r.Retryable) > 0, "only %s", strings.Join(r.Retryable, " "))
		add(len(r.NonRetryable) > 0, "not %s", strings.Join(r.NonRetryable, " "))
	}
	for _, n := range inv.Needs {
		add(true, "needs %s (%s)", n.Task, [...]string{"hard", "soft", "conditional"}[n.Type])
		if n.Condition != nil {
			add(true, "if %s", n.Condition.Source)
		}
	}
	add(inv.Priority != "" && inv.Priority != "normal", "priority %s", inv.Priority)
	add(inv.Semantics != "" && inv.Semantics != "await", "%s", inv.Semantics)
	add(inv.Delivery != "" && inv.Delivery != "at_least_once", "%s", inv.Delivery)
	add(inv.NodeType != "", "on %s", inv.NodeType)
	add(len(inv.Requires) > 0, "requires %s", strings.Join(inv.Requires, " "))
	for _, name := range slices.Sorted(maps.Keys(inv.Resources)) {
		add(true, "%d of %s", inv.Resources[name], name)
	}
	add(inv.Compensate != nil, "undone by (%s)", undoneBy(inv.Compensate))
	return b.String()
}

func undoneBy(inv *fsm.Invocation) string {
	if inv == nil {
		return ""
	}
	return invocation(inv)
}
