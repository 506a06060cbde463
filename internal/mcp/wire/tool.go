package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/leat-io/leat/internal/mcp/header"
	"github.com/leat-io/leat/internal/mcp/schema"
)

// maxToolName bounds the name of a tool, in bytes. The specification asks for 128
// characters of ASCII, and leaves it to the server.
const maxToolName = 512

// Tool is a tool as its server defines it. JSON is as the server wrote it.
// It is not changed after it was made.
type Tool struct {
	Name        string
	Title       string
	Description string
	Input       json.RawMessage // schema of the arguments
	Output      json.RawMessage // schema of the structured content, nil for none
	Annotations json.RawMessage // hints, not to be believed; nil for none
	Raw         json.RawMessage // the whole definition

	headers []header.Param
	schemas func() compiled
}

// Refusal is a tool that is not offered, and why.
type Refusal struct {
	Name string // "" when it has none
	Why  string
}

// ParseTool reads the definition of a tool, as a server lists it or as it was kept.
// It refuses one that could not be called: without a name, with schemas beyond the
// bounds of [schema.Guard], with an x-mcp-header that is not valid. It compiles
// nothing.
func ParseTool(raw json.RawMessage) (*Tool, error) {
	f, err := fields(raw)
	if err != nil {
		return nil, errors.New("its definition is not an object")
	}
	t := &Tool{Raw: raw, Input: present(f["inputSchema"]), Output: present(f["outputSchema"]), Annotations: present(f["annotations"])}
	if json.Unmarshal(f["name"], &t.Name) != nil || t.Name == "" {
		return nil, errors.New("it has no name")
	}
	_ = json.Unmarshal(f["title"], &t.Title)
	_ = json.Unmarshal(f["description"], &t.Description)
	if err := t.check(); err != nil {
		return t, err
	}
	t.schemas = sync.OnceValue(t.compile)
	return t, nil
}

func (t *Tool) check() error {
	if len(t.Name) > maxToolName || strings.ContainsFunc(t.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("its name is longer than %d bytes or holds control characters", maxToolName)
	}
	if len(t.Input) == 0 || t.Input[0] != '{' {
		return errors.New("its inputSchema is not an object")
	}
	if err := schema.Guard(t.Input); err != nil {
		return fmt.Errorf("inputSchema: %w", err)
	}
	if t.Output != nil {
		if err := schema.Guard(t.Output); err != nil {
			return fmt.Errorf("outputSchema: %w", err)
		}
	}
	var err error
	t.headers, err = header.Params(t.Input)
	return err
}

// compiled is what Schemas hands out.
type compiled struct {
	input, output *schema.Schema
	err           error
}

// Schemas compiles the schemas when they are first needed; output is nil when there
// is none. Safe for concurrent use.
func (t *Tool) Schemas() (input, output *schema.Schema, err error) {
	c := t.schemas()
	return c.input, c.output, c.err
}

func (t *Tool) compile() (c compiled) {
	if c.input, c.err = schema.Compile(t.Input); c.err != nil {
		return compiled{err: fmt.Errorf("inputSchema: %w", c.err)}
	}
	if t.Output != nil {
		if c.output, c.err = schema.Compile(t.Output); c.err != nil {
			return compiled{err: fmt.Errorf("outputSchema: %w", c.err)}
		}
	}
	return c
}
