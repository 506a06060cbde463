package invoke

import (
	"encoding/json"
	"strings"

	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// unknown reports whether nobody knows what a call did. A server that answered it,
// with whatever error or nonsense, ended it.
func unknown(f *wire.Failure, may bool) bool {
	answered := f.Answered || f.Code == wire.CodeInvalid || f.Code == wire.CodeTooLarge
	return !f.Evidence.Proven() && !answered && !may
}

// outcome words a failure. It may be repeated when nothing ran, or when the tool
// may be.
func outcome(tool string, f *wire.Failure, may bool) *events.Error {
	if unknown(f, may) {
		return fail(fsm.CodeMCPUnknown, false, "%s: %s; whether the tool took effect is not known, and it must not be run twice (%s)", tool, f.Message, f.Code)
	}
	return fail(f.Code, f.Evidence.Proven() || may, "%s: %s", tool, f.Message)
}

// came is where an answer came from.
type came struct {
	subsystem, pin string
	tool           *wire.Tool
	sent           string // SHA-256 of the arguments
	may            bool
}

// result is that of a task.
type result struct {
	Content    json.RawMessage `json:"content"`
	Structured json.RawMessage `json:"structured,omitempty"`
	Subsystem  string          `json:"subsystem"`
	Tool       string          `json:"tool"`
	Pin        string          `json:"pin"`
	Sent       string          `json:"sent"`
	Received   string          `json:"received"`
}

// answered says what an answer comes to.
func (a *attempt) answered(c *came, answer wire.Answer) (json.RawMessage, error) {
	switch v := answer.(type) {
	case *wire.Questions:
		return nil, a.ask(c, v)
	case *wire.Task:
		return nil, a.follow(c, v)
	case *wire.Result:
		return a.finished(c, v)
	}
	return nil, fail(wire.CodeInvalid, c.may, "%s answered with what nobody knows", a.in.Tool)
}

// finished checks the result, and makes it that of the task.
func (a *attempt) finished(c *came, r *wire.Result) (json.RawMessage, error) {
	if r.IsError {
		return nil, fail(wire.CodeTool, c.may, "%s of subsystem %s says that it failed: %s", a.in.Tool, c.subsystem, text(r.Content))
	}
	if c.tool != nil {
		if err := checkResult(c.tool, r); err != nil {
			return nil, fail(wire.CodeInvalid, c.may, "the result of %s (subsystem %s) does not fit its outputSchema: %v", a.in.Tool, c.subsystem, err)
		}
	}
	out, err := encode(result{r.Content, r.Structured, c.subsystem, a.in.Tool, c.pin, c.sent, sum(r.Raw)})
	if err != nil {
		return nil, fail(wire.CodeInvalid, c.may, "the result of %s cannot be written: %v", a.in.Tool, err)
	}
	if len(out) > events.MaxPayloadLength {
		return nil, fail(wire.CodeTooLarge, c.may, "the result of %s (subsystem %s) is %d bytes, at most %d fit: have the tool keep large content elsewhere and answer with a reference",
			a.in.Tool, c.subsystem, len(out), events.MaxPayloadLength)
	}
	return out, nil
}

// checkResult holds a result against the schema that its tool promises.
func checkResult(tool *wire.Tool, r *wire.Result) error {
	_, schema, err := tool.Schemas()
	if err != nil || schema == nil {
		return err
	}
	if r.Structured == nil {
		return errNoStructured
	}
	return schema.Check(r.Structured)
}

// maxTold is how much of what a tool says about its failure is kept, in bytes.
const maxTold = 2 << 10

// text is what content blocks say.
func text(content json.RawMessage) string {
	var blocks []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(content, &blocks) != nil {
		return "nothing that can be read"
	}
	var out strings.Builder
	for _, b := range blocks {
		if b.Text != "" && out.Len() < maxTold {
			out.WriteString(b.Text)
			out.WriteByte(' ')
		}
	}
	if out.Len() == 0 {
		return "(without a word)"
	}
	return events.Cut(strings.TrimSpace(out.String()), maxTold)
}
