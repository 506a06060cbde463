package definition

import (
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

func (r *reader) assign(n *node) []fsm.Assign {
	if n == nil || !r.is(n, kindMap, "assign") {
		return nil
	}
	var out []fsm.Assign
	for i, key := range n.keys {
		out = append(out, fsm.Assign{Pos: key.pos, Name: key.text, Value: r.template(n.items[i])})
	}
	return out
}

var actionNames = []string{"assign", "raise", "send", "cancel", "emit", "compensate", "log", "if"}

// actions reads one action or a list.
func (r *reader) actions(n *node) []fsm.Action {
	var out []fsm.Action
	for _, item := range list(n) {
		if a, ok := r.action(item); ok {
			out = append(out, a)
		}
	}
	return out
}

func (r *reader) action(n *node) (fsm.Action, bool) {
	a := fsm.Action{Pos: n.pos}
	if !r.fields(n, "an action", append(actionNames, "then", "else")...) {
		return a, false
	}
	name, ok := r.actionName(n)
	if !ok {
		return a, false
	}
	body := n.get(name)
	switch name {
	case "assign":
		a.Kind, a.Assign = fsm.ActionAssign, r.assign(body)
	case "raise":
		a.Kind = fsm.ActionRaise
		r.eventBody(&a, body, "raise", "event", "data")
	case "emit":
		a.Kind = fsm.ActionEmit
		r.eventBody(&a, body, "emit", "event", "data")
	case "send":
		a.Kind = fsm.ActionSend
		r.send(&a, body)
	case "cancel":
		a.Kind, a.Event = fsm.ActionCancel, r.text(body, "cancel")
	case "compensate":
		a.Kind, a.Event = fsm.ActionCompensate, r.text(body, "compensate")
	case "log":
		a.Kind, a.Data = fsm.ActionLog, r.template(body)
	case "if":
		a.Kind, a.If = fsm.ActionIf, r.expr(body, "if")
		a.Then, a.Else = r.actions(n.get("then")), r.actions(n.get("else"))
	}
	return a, true
}

// actionName is the one key that says what an action does.
func (r *reader) actionName(n *node) (name string, ok bool) {
	var names []string
	for _, known := range actionNames {
		if n.get(known) != nil {
			names = append(names, known)
		}
	}
	if len(names) != 1 {
		r.errorf(n.pos, "bad-action", "an action is exactly one of %s", strings.Join(actionNames, ", "))
		return "", false
	}
	if names[0] != "if" && (n.get("then") != nil || n.get("else") != nil) {
		r.errorf(n.pos, "bad-action", "then and else belong to if")
	}
	return names[0], true
}

// eventBody reads an event's name, or a map with its data.
func (r *reader) eventBody(a *fsm.Action, n *node, what string, known ...string) {
	name := n
	if n.kind == kindMap {
		r.fields(n, what, known...)
		name = n.get("event")
		a.Data = r.template(n.get("data"))
	}
	if name == nil {
		r.errorf(n.pos, "missing-field", "%s names no event", what)
		return
	}
	a.Event = r.text(name, what+".event")
	if name.kind == kindText && (a.Event == "" || strings.ContainsAny(a.Event, " *") || len(a.Event) > events.MaxNameLength) {
		r.errorf(name.pos, "bad-id", "%q is not the name of an event", clip(a.Event))
	}
}

func (r *reader) send(a *fsm.Action, n *node) {
	r.eventBody(a, n, "send", "event", "data", "to", "type", "delay", "id")
	if n.kind != kindMap {
		return
	}
	a.To = r.mixed(n.get("to"))
	a.Type = r.text(n.get("type"), "send.type")
	a.ID = r.text(n.get("id"), "send.id")
	if d := n.get("delay"); d != nil {
		delay := r.delay(d, "send.delay")
		a.Delay = &delay
	}
	if a.To == nil && a.Type != "" {
		r.errorf(n.get("type").pos, "missing-field", "send has a type, but not to whom: it needs %q", "to")
	}
}

var invocationFields = []string{
	"task", "mcp", "http", "workflow", "human", "id", "input", "timeout", "retry", "compensate", "node", "priority", "semantics",
	"delivery", "onDone", "onError", "description",
}

// invocation reads one invocation; id is its default name.
func (r *reader) invocation(n *node, id string, dag bool) *fsm.Invocation {
	known := invocationFields
	if dag {
		known = append(slices.Clip(known), "needs")
	}
	if !r.fields(n, "an invocation", known...) {
		return nil
	}
	inv := &fsm.Invocation{Pos: n.pos, ID: id}
	if given := n.get("id"); given != nil {
		inv.ID = r.id(given, "invocation")
	}
	if strings.HasPrefix(inv.ID, "compensate.") {
		r.errorf(n.pos, "bad-id", "the id %q is the engine's own: it begins with compensate.", inv.ID)
	}
	r.callee(inv, n)
	r.timeout(inv, n.get("timeout"))
	r.retry(inv, n.get("retry"))
	if c := n.get("compensate"); c != nil {
		if inv.Compensate = r.invocation(c, id, false); inv.Compensate != nil && inv.Compensate.Compensate != nil {
			r.errorf(c.pos, "bad-value", "a compensation cannot itself be compensated")
		}
	}
	inv.NodeType = events.NodeEffect
	if node := n.get("node"); node != nil && r.fields(node, "node", "type", "requires", "resources") {
		inv.NodeType = choice(r, node.get("type"), "node.type", events.NodeEffect, events.NodeCompute)
		inv.Requires = r.texts(node.get("requires"), "a capability")
		inv.Resources = r.resources(node.get("resources"))
	}
	inv.Priority = choice(r, n.get("priority"), "priority",
		events.PriorityNormal, events.PriorityLow, events.PriorityHigh, events.PriorityCritical, events.PriorityUrgent)
	inv.Semantics = choice(r, n.get("semantics"), "semantics", events.Await, events.FireAndForget, events.AsyncAwait)
	inv.Delivery = events.AtLeastOnce
	if inv.Kind == fsm.InvokeMCP {
		inv.Delivery = events.AtMostOnce // nobody knows what a tool does twice
	}
	if given := n.get("delivery"); given != nil {
		inv.Delivery = choice(r, given, "delivery", events.AtLeastOnce, events.AtMostOnce)
	}
	for _, item := range list(n.get("needs")) {
		inv.Needs = append(inv.Needs, r.need(item))
	}
	inv.OnDone, inv.OnError = r.transitions(n.get("onDone")), r.transitions(n.get("onError"))
	return inv
}

// callee reads what an invocation calls, and its input.
func (r *reader) callee(inv *fsm.Invocation, n *node) {
	kinds := invocationFields[:5]
	var given []string
	for _, kind := range kinds {
		if n.get(kind) != nil {
			given = append(given, kind)
		}
	}
	if len(given) != 1 {
		r.errorf(n.pos, "bad-invocation", "an invocation has exactly one of %s", strings.Join(kinds, ", "))
		return
	}
	body := n.get(given[0])
	input := fsm.Field{Name: "input", Value: r.template(n.get("input"))}
	switch given[0] {
	case "task":
		inv.Task, inv.Input = r.taskName(body), input.Value
		if inv.Task == "mcp.call" { // a call whose tool is computed
			inv.Kind = fsm.InvokeMCP
		}
	case "mcp":
		inv.Kind, inv.Task = fsm.InvokeMCP, "mcp.call"
		r.fields(body, "mcp", "tool", "subsystem", "require")
		r.require(body, "tool")
		if require := body.get("require"); r.boolean(require, "mcp.require") {
			if body.get("subsystem") == nil {
				r.errorf(require.pos, "missing-field", "mcp.require binds the call to one subsystem: it needs %q", "subsystem")
			}
		}
		input.Name = "arguments"
		inv.Input = object(n.pos, r.part(body, "tool", r.fixed), r.part(body, "subsystem", r.fixed), r.loose(body, "require"), input)
	case "http":
		inv.Kind, inv.Task = fsm.InvokeHTTP, "http.call"
		r.http(body)
		inv.Input = object(n.pos, r.part(body, "method", r.fixed), r.loose(body, "url"), r.loose(body, "headers"), r.loose(body, "body"), input)
	case "workflow":
		inv.Kind, inv.Task = fsm.InvokeWorkflow, "workflow.start"
		r.fields(body, "workflow", "type", "version", "key", "parentClose")
		r.require(body, "type")
		choice(r, body.get("parentClose"), "workflow.parentClose", "cancel", "abandon", "terminate")
		if t := body.get("type"); t != nil && t.kind == kindText {
			if err := events.CheckWorkflowType("type", t.text); err != nil {
				r.errorf(t.pos, "bad-id", "workflow.%v", err)
			}
		}
		inv.Input = object(n.pos, r.part(body, "type", r.fixed), r.loose(body, "version"), r.loose(body, "key"), r.part(body, "parentClose", r.fixed), input)
	case "human":
		inv.Kind, inv.Task = fsm.InvokeHuman, "human.task"
		r.fields(body, "human", "assignee", "form")
		inv.Input = object(n.pos, r.loose(body, "assignee"), r.form(inv, body), input)
	}
}

func (r *reader) taskName(body *node) string {
	task := r.text(body, "task")
	queue, name, _ := strings.Cut(task, ".")
	if body.kind == kindText && (queue == "" || name == "" || !taskName(task)) {
		r.errorf(body.pos, "bad-id", "task %q is not queue.name, such as payments.charge", clip(task))
	}
	return task
}

// form reads what a person is asked to fill in: a JSON Schema, which the result
// is held against, or a text that names or describes it.
func (r *reader) form(inv *fsm.Invocation, body *node) fsm.Field {
	if body.kind != kindMap {
		return fsm.Field{}
	}
	n := body.get("form")
	if n == nil || n.kind != kindMap {
		return r.loose(body, "form")
	}
	inv.CheckResult = r.validator(n, "form")
	return fsm.Field{Pos: n.pos, Name: "form", Value: &fsm.Template{Pos: n.pos, Literal: n.toJSON(nil)}}
}

// http checks what can be known of a call before it is made.
func (r *reader) http(body *node) {
	r.fields(body, "http", "method", "url", "headers", "body")
	r.require(body, "url")
	choice(r, body.get("method"), "http.method", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
	if u := body.get("url"); u != nil && u.kind == kindText && !looksLikeExpression(u) {
		if parsed, err := url.Parse(u.text); err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Hostname() == "" {
			r.errorf(u.pos, "bad-value", "http.url %q is neither a URL nor an expression: want https://host/path, or \"'https://host/' + input.x\"", clip(u.text))
		}
	}
}

func taskName(text string) bool {
	if len(text) > events.MaxNameLength {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return true
}

func (r *reader) part(n *node, name string, read func(*node, string) *fsm.Template) fsm.Field {
	if n.kind != kindMap {
		return fsm.Field{}
	}
	return fsm.Field{Pos: n.pos, Name: name, Value: read(n.get(name), name)}
}

func (r *reader) loose(n *node, name string) fsm.Field {
	return r.part(n, name, func(n *node, _ string) *fsm.Template { return r.mixed(n) })
}

func (r *reader) resources(n *node) map[string]int64 {
	if n == nil || !r.is(n, kindMap, "node.resources") {
		return nil
	}
	out := make(map[string]int64)
	for i, key := range n.keys {
		out[key.text] = r.integer(n.items[i], key.text, 0, math.MaxInt64)
	}
	return out
}

// timeout reads a duration, which bounds an attempt, or each bound by name.
func (r *reader) timeout(inv *fsm.Invocation, n *node) {
	if n == nil {
		return
	}
	if n.kind != kindMap {
		inv.Timeouts.StartToClose = r.duration(n, "timeout")
		return
	}
	r.fields(n, "timeout", "startToClose", "scheduleToStart", "scheduleToClose", "heartbeat")
	inv.Timeouts = events.Timeouts{
		StartToClose:    r.duration(n.get("startToClose"), "startToClose"),
		ScheduleToStart: r.duration(n.get("scheduleToStart"), "scheduleToStart"),
		ScheduleToClose: r.duration(n.get("scheduleToClose"), "scheduleToClose"),
		Heartbeat:       r.duration(n.get("heartbeat"), "heartbeat"),
	}
	for i, key := range n.keys {
		if d, err := fsm.ParseDuration(n.items[i].text); err == nil && d < time.Millisecond {
			r.errorf(n.items[i].pos, "bad-value", "%s of %s is too short: at least 1ms", key.text, d)
		}
	}
}

func (r *reader) retry(inv *fsm.Invocation, n *node) {
	if n == nil || !r.fields(n, "retry", "policy", "maxAttempts", "initial", "factor", "max", "jitter", "retryable", "nonRetryable") {
		return
	}
	if policy := n.get("policy"); policy != nil && policy.text == string(events.RetryCustom) {
		r.errorf(policy.pos, "bad-value", "retry.policy custom has nothing behind it: choose exponential, linear or fixed, or none with an onError that decides itself")
		return
	}
	retry := &fsm.Retry{
		Pos: n.pos,
		Policy: choice(r, n.get("policy"), "retry.policy",
			events.RetryExponential, events.RetryNone, events.RetryFixed, events.RetryLinear),
		Initial: time.Second, Factor: 2, Max: r.duration(n.get("max"), "retry.max"),
		Jitter:    r.boolean(n.get("jitter"), "retry.jitter"),
		Retryable: r.texts(n.get("retryable"), "a code"), NonRetryable: r.texts(n.get("nonRetryable"), "a code"),
	}
	if initial := n.get("initial"); initial != nil {
		retry.Initial = r.duration(initial, "retry.initial")
	}
	if factor := n.get("factor"); factor != nil {
		retry.Factor = r.factor(factor)
	}
	if most := n.get("maxAttempts"); most != nil {
		retry.MaxAttempts = int32(r.integer(most, "retry.maxAttempts", 1, 10_000)) //nolint:gosec // checked
	} else if retry.Policy != events.RetryNone && inv.Timeouts.ScheduleToClose == 0 {
		r.errorf(n.pos, "unbounded-retry", "the retry has no bound: give maxAttempts, or timeout.scheduleToClose")
	}
	inv.Retry = retry
}

func (r *reader) factor(n *node) float64 {
	var f float64
	switch n.kind {
	case kindInt:
		f = float64(n.value.(int64))
	case kindFloat:
		f = n.value.(float64)
	default:
		r.errorf(n.pos, "bad-type", "retry.factor is a number, not %s", n.kind)
		return 2
	}
	if f < 1 || f > 100 {
		r.errorf(n.pos, "bad-value", "retry.factor is from 1 to 100, not %v", f)
		return 2
	}
	return f
}

func (r *reader) need(n *node) fsm.Need {
	out := fsm.Need{Pos: n.pos}
	if n.kind == kindText {
		out.Task = n.text
		return out
	}
	if !r.fields(n, "a need", "task", "type", "condition") {
		return out
	}
	r.require(n, "task")
	out.Task = r.text(n.get("task"), "needs.task")
	out.Condition = r.expr(n.get("condition"), "condition")
	standard := "hard"
	if out.Condition != nil {
		standard = "conditional"
	}
	switch choice(r, n.get("type"), "needs.type", standard, "hard", "soft", "conditional") {
	case "soft":
		out.Type = fsm.Soft
	case "conditional":
		out.Type = fsm.Conditional
	}
	if (out.Type == fsm.Conditional) != (out.Condition != nil) {
		r.errorf(n.pos, "bad-value", "a need has a condition when, and only when, its type is conditional")
	}
	return out
}
