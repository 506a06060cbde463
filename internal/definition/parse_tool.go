package definition

import (
	"encoding/json"
	"time"

	"github.com/leat-io/leat/pkg/fsm"
)

// How long a call of a tool is answered within the call.
const (
	defaultToolWait = 2 * time.Second
	maxToolWait     = time.Minute
)

// tool reads how the workflow is offered to agents. A call's arguments are the
// start payload, and by the protocol they are an object.
func (r *reader) tool(n *node, def *fsm.Definition) {
	if n == nil || !r.fields(n, "tool", "description", "task", "wait") {
		return
	}
	t := &fsm.Tool{
		Pos: n.pos, Description: r.text(n.get("description"), "tool.description"), Wait: defaultToolWait,
		Task: choice(r, n.get("task"), "tool.task", fsm.ToolTaskMay, fsm.ToolTaskMust, fsm.ToolTaskNever),
	}
	if t.Description == "" {
		t.Description = def.Description
	}
	if t.Description == "" && n.get("description") == nil {
		r.errorf(n.pos, "bad-tool", "the tool has no description, and neither has the definition: a model chooses tools by what is said of them")
	}
	if w := n.get("wait"); w != nil {
		if t.Wait = r.duration(w, "tool.wait"); t.Wait > maxToolWait {
			r.errorf(w.pos, "bad-value", "tool.wait is at most %s, not %s: what takes longer goes on as a task", maxToolWait, t.Wait)
		}
	}
	var input struct{ Type any }
	if def.InputSchema != nil && (json.Unmarshal(def.InputSchema, &input) != nil || input.Type != "object") {
		r.errorf(n.pos, "bad-tool", "the arguments of a tool are an object: give the definition's input the type object")
	}
	def.Tool = t
}
