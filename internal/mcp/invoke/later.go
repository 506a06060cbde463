package invoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/schema"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// The ways in which a call goes on.
const (
	kindRound = "round" // it is made again, with the answers
	kindHeld  = "held"  // it waits at the server, on a connection of one process
	kindTask  = "task"  // the server works on it, and is asked
)

// later is the continuation of a call: what any executor needs to go on with it.
type later struct {
	Kind      string              `json:"kind"`
	Subsystem string              `json:"subsystem"`
	Pin       string              `json:"pin"`
	Sent      string              `json:"sent"`
	May       bool                `json:"may,omitempty"`
	State     json.RawMessage     `json:"state,omitempty"` // the server's, byte for byte
	Held      string              `json:"held,omitempty"`
	Task      string              `json:"task,omitempty"`
	Until     *time.Time          `json:"until,omitempty"`  // the server keeps the task
	Failed    int                 `json:"failed,omitempty"` // times in a row that it could not be asked
	Asked     map[string]question `json:"asked,omitempty"`  // by our id
	Told      []string            `json:"told,omitempty"`   // the server's names of what it was told
}

// question is one of the server's that a person is asked.
type question struct {
	Name string          `json:"name"` // the server's
	URL  bool            `json:"url,omitempty"`
	Form json.RawMessage `json:"form,omitempty"`
}

var errNoStructured = errors.New("it has no structured content")

const (
	usualPoll   = time.Second
	leastPoll   = 100 * time.Millisecond
	mostPoll    = time.Hour
	mostFailed  = 20 // polls in a row
	maxAsked    = 32 // questions at once
	maxFormKept = 16 << 10
)

func readLater(raw json.RawMessage) (*later, error) {
	var l later
	if err := json.Unmarshal(raw, &l); err != nil || l.Subsystem == "" {
		return nil, fail(fsm.CodeMCPUnknown, false, "how the call goes on cannot be read, and so its outcome is not known: %v", err)
	}
	return &l, nil
}

func encode(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// ask puts the attempt down until people have answered.
func (a *attempt) ask(c *came, q *wire.Questions) error {
	l := &later{Kind: kindRound, Subsystem: c.subsystem, Pin: c.pin, Sent: c.sent, May: c.may, State: q.State, Held: q.Held}
	if q.Held != "" {
		l.Kind = kindHeld
	}
	return a.putDown(l, q.Asked)
}

func (a *attempt) putDown(l *later, asked map[string]wire.Question) error {
	if len(asked) > maxAsked {
		return fail(wire.CodeInvalid, l.May, "%s asks %d questions at once, at most %d are taken", a.in.Tool, len(asked), maxAsked)
	}
	l.Asked = make(map[string]question, len(asked))
	questions := make([]events.Question, 0, len(asked))
	for i, name := range slices.Sorted(maps.Keys(asked)) {
		q := asked[name]
		id := fmt.Sprintf("q%d", i+1)
		kept := question{Name: name, URL: q.Mode == "url"}
		out := events.Question{ID: id, Message: events.Cut(fmt.Sprintf("%s (%s/%s)", q.Message, l.Subsystem, a.in.Tool), events.MaxMessageLength)}
		switch {
		case kept.URL:
			out.Message = events.Cut(q.Message+": "+q.URL, events.MaxMessageLength)
		case len(q.Schema) <= maxFormKept && schema.Guard(q.Schema) == nil:
			out.Form, kept.Form = q.Schema, q.Schema
		default:
			return fail(wire.CodeInvalid, l.May, "%s asks with a form that cannot be used: %v", a.in.Tool, schema.Guard(q.Schema))
		}
		l.Asked[id] = kept
		questions = append(questions, out)
	}
	state, err := a.state(l)
	if err != nil {
		return err
	}
	return executor.Ask(state, questions...)
}

// state writes a continuation.
func (a *attempt) state(l *later) (json.RawMessage, error) {
	state, err := encode(l)
	if err != nil {
		return nil, fail(wire.CodeInvalid, l.May, "how %s goes on cannot be written: %v", a.in.Tool, err)
	}
	if len(state) > events.MaxContinuationLength {
		return nil, fail(wire.CodeTooLarge, l.May, "what %s wants to be given back is %d bytes, at most %d can be kept", a.in.Tool, len(state), events.MaxContinuationLength)
	}
	return state, nil
}

// replies are the answers of people, by the server's names.
func (l *later) replies(answers []events.Answer) map[string]wire.Reply {
	out := make(map[string]wire.Reply, len(l.Asked))
	for id, q := range l.Asked {
		reply := wire.Reply{Action: "cancel"}
		for _, answer := range answers {
			if answer.ID == id {
				reply = q.reply(answer)
			}
		}
		out[q.Name] = reply
	}
	return out
}

// reply is what a person said, with the defaults of the form.
func (q *question) reply(answer events.Answer) wire.Reply {
	if answer.Error != nil {
		return wire.Reply{Action: "decline"}
	}
	if q.URL {
		return wire.Reply{Action: "accept"}
	}
	content := answer.Result
	if len(content) == 0 || string(content) == "null" {
		content = json.RawMessage("{}")
	}
	if form, err := schema.Compile(q.Form); err == nil {
		if filled, err := form.Fill(content); err == nil {
			content = filled
		}
	}
	return wire.Reply{Action: "accept", Content: content}
}

// goOn takes an attempt up.
func (a *attempt) goOn(ctx context.Context, p *plan) (json.RawMessage, error) {
	l := p.later
	switch l.Kind {
	case kindRound:
		return a.nextRound(ctx, &p.offers[0], l)
	case kindHeld:
		return a.continueHeld(ctx, l)
	case kindTask:
		return a.poll(ctx, l)
	}
	return nil, fail(fsm.CodeMCPUnknown, false, "the call goes on in a way (%.40q) that this version does not know, and so its outcome is not known", l.Kind)
}

// nextRound makes the call again, with the answers.
func (a *attempt) nextRound(ctx context.Context, o *fleet.Offer, l *later) (json.RawMessage, error) {
	arguments, err := a.in.arguments(o, a.task.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	call, err := o.Begin()
	if err != nil {
		return nil, refused(err, true)
	}
	result, end, err := a.make(ctx, call, o, arguments, l.State, l.replies(a.task.Answers))
	if end != nil {
		a.unknown(call, o, end)
		return nil, a.failure(ctx, o, end)
	}
	return result, err
}

// continueHeld answers a call that waits. When its process is gone, so is the call.
func (a *attempt) continueHeld(ctx context.Context, l *later) (json.RawMessage, error) {
	conn, err := a.runner.fleet.Conn(l.Subsystem)
	if err != nil {
		return nil, refused(err, true)
	}
	answer, err := conn.Continue(ctx, l.Held, l.replies(a.task.Answers), &wire.Call{Progress: a.progress, Logged: a.logged})
	if f, ok := errors.AsType[*wire.Failure](err); ok {
		return nil, executor.RetryAfter(outcome(a.in.Tool, f, l.May), f.RetryAfter)
	}
	if err != nil {
		return nil, err
	}
	return a.answered(&came{subsystem: l.Subsystem, pin: l.Pin, tool: a.toolOf(ctx, l), sent: l.Sent, may: l.May}, answer)
}

// toolOf is the definition of the tool that was called; nil when it is not offered
// any more: its result is not checked then.
func (a *attempt) toolOf(ctx context.Context, l *later) *wire.Tool {
	offers, err := a.runner.fleet.Route(ctx, fleet.Want{Tool: a.in.Tool, Subsystem: l.Subsystem, Require: true})
	if err != nil || offers[0].Pin != l.Pin {
		return nil
	}
	return offers[0].Tool
}
