package offer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// humanTask is the name of every task that a person ends.
const humanTask = "human.task"

// Codes of the failures that a person's refusal is.
const (
	codeDeclined  = "DECLINED"
	codeDismissed = "DISMISSED"
)

// asksPeople reports whether a workflow may ask people something: by a task of its
// own, or by a tool of an MCP server that asks.
func asksPeople(s *fsm.State) bool {
	for _, list := range [][]*fsm.Invocation{s.Invoke, s.Tasks} {
		for _, inv := range list {
			if inv.Kind == fsm.InvokeHuman || inv.Kind == fsm.InvokeMCP {
				return true
			}
		}
	}
	return slices.ContainsFunc(s.States, asksPeople)
}

// open reports whether a task waits for a person whom nobody has named yet.
func open(t *events.TaskStatus) bool {
	return t.Name == humanTask && t.State == events.TaskWaitingForInput
}

// questionID names what an attempt of a task asks. Another attempt is another
// question.
func questionID(t *events.TaskStatus) string {
	return t.TaskID.String() + "." + strconv.Itoa(int(max(1, t.Attempt)))
}

// questionsOf is what an instance asks people.
func questionsOf(s *client.Instance) map[string]serve.Question {
	asked := make(map[string]serve.Question)
	for i := range s.Chart.Tasks {
		if t := &s.Chart.Tasks[i]; open(t) {
			asked[questionID(t)] = questionOf(s, t)
		}
	}
	return asked
}

// questionOf is the form of a task. A form that is a text says what to do; the answer
// may be any object then.
func questionOf(s *client.Instance, t *events.TaskStatus) serve.Question {
	var in struct {
		Message string          `json:"message"` // of a task's own question
		Form    json.RawMessage `json:"form"`
		Input   struct {
			Message string `json:"message"` // what the definition gives as input.message
		} `json:"input"`
	}
	_ = json.Unmarshal(t.Input, &in) // what does not fit is left out
	var form struct {
		Title       string `json:"title"`
		Description string `json:"description"`
	}
	q := serve.Question{Schema: json.RawMessage(`{"type":"object","properties":{}}`)}
	var text string
	switch {
	case bytes.HasPrefix(in.Form, []byte("{")):
		q.Schema = in.Form
		_ = json.Unmarshal(in.Form, &form)
	case in.Form != nil:
		_ = json.Unmarshal(in.Form, &text)
	}
	q.Message = cmp.Or(in.Input.Message, in.Message, text, form.Description, form.Title, fmt.Sprintf("%s of %s", t.Invocation, s.WorkflowType))
	return q
}

// Update ends the tasks that were asked about.
func (w *Workflows) Update(ctx context.Context, who serve.Caller, id string, answers map[string]serve.Answer) error {
	s, err := w.find(ctx, who, id)
	if err != nil {
		return err
	}
	return w.answer(ctx, who, s, answers)
}

// answer ends every open task of an instance that there is an answer to. It returns
// when that is decided, so that what is asked next shows it. A task that somebody
// else ended in between is passed over.
func (w *Workflows) answer(ctx context.Context, who serve.Caller, s *client.Instance, answers map[string]serve.Answer) error {
	var wrong error
	for i := range s.Chart.Tasks {
		t := &s.Chart.Tasks[i]
		said, given := answers[questionID(t)]
		if !given || !open(t) {
			continue
		}
		r := client.TaskRequest{Type: s.WorkflowType, InstanceID: s.InstanceID, TaskID: t.TaskID, Attempt: max(1, t.Attempt), By: who.Name}
		switch said.Action {
		case "accept":
			r.Result = said.Content
			if len(said.Content) == 0 {
				r.Result = json.RawMessage("{}")
			}
		case "decline":
			r.Error = &events.Error{Code: codeDeclined, Message: who.Name + " declined"}
		case "cancel":
			r.Error = &events.Error{Code: codeDismissed, Message: who.Name + " did not answer"}
		default:
			wrong = errors.Join(wrong, serve.Invalid("inputResponses[%q]: action is accept, decline or cancel", questionID(t)))
			continue
		}
		if _, err := w.config.Client.Do(ctx, r); err != nil && !endedBefore(err) {
			if why, ok := errors.AsType[*events.Error](err); ok && errors.Is(err, client.ErrRejected) {
				err = serve.Invalid("inputResponses[%q]: %s", questionID(t), why.Message)
			}
			wrong = errors.Join(wrong, err)
		}
	}
	return wrong
}

// endedBefore reports whether a task was refused because it is not open any more.
func endedBefore(err error) bool {
	why, ok := errors.AsType[*events.Error](err)
	return ok && (why.Code == fsm.StaleAttempt || why.Code == fsm.UnknownTask || why.Code == fsm.Finished)
}
