package mcp

import (
	"bytes"
	"context"
	_ "embed" // the built-in definition
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// callType is the workflow that a call from the command line is.
const callType = "mcp-call"

//go:embed call.yaml
var callDefinition []byte

// request is the input of that workflow, and of the task mcp.call.
type request struct {
	Tool      string          `json:"tool"`
	Subsystem string          `json:"subsystem,omitempty"`
	Require   bool            `json:"require,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

func (a *app) callCommand() *cobra.Command {
	var arguments, key string
	var fallback, noWait bool
	cmd := &cobra.Command{
		Use: "call SUBSYSTEM/TOOL", Short: "Call a tool", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeTool,
		Long: "Call a tool of an MCP server. The call is a workflow of type " + callType + " with a history: it is made once, whoever is killed\n" +
			"meanwhile, and its outcome is named when nobody knows it. The definition is deployed with the first call.\n\n" +
			"SUBSYSTEM/TOOL asks that server and no other; with --fallback, another one that offers the tool when it cannot take the call.\n" +
			"/TOOL asks any.",
		Example: "  leat mcp call files/read_file --args '{\"path\": \"/data/a.txt\"}'\n" +
			"  leat mcp call /search --args @query.json -o json\n" +
			"  leat mcp call files/write_file --args - --key report-7 < call.json   # a second time it is the same call",
		RunE: func(cmd *cobra.Command, args []string) error {
			subsystem, tool, ok := events.SplitTool(args[0])
			if !ok || tool == "" {
				return problem.New(problem.Usage, fmt.Sprintf("%q names no tool", args[0]), "want SUBSYSTEM/TOOL, or /TOOL for any subsystem", "leat mcp tools lists them")
			}
			r := request{Tool: tool, Subsystem: subsystem, Require: subsystem != "" && !fallback}
			var err error
			if r.Arguments, err = input.JSON(a.In, "args", arguments); err != nil {
				return err
			}
			if text := bytes.TrimSpace(r.Arguments); len(text) > 0 && text[0] != '{' {
				return problem.New(problem.BadJSON, "--args is not a JSON object", "tools take named arguments", `--args '{"path": "/data/a.txt"}'`)
			}
			return a.With(cmd.Context(), session.Kafka, !noWait, func(ctx context.Context, c *client.Client) error {
				return a.call(ctx, c, r, key, noWait)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&arguments, "args", "", "the arguments: a JSON object, @file, or - for standard input")
	flags.StringVar(&key, "key", "", "business key of the call: there is one call for each")
	flags.BoolVar(&fallback, "fallback", false, "take another subsystem when SUBSYSTEM cannot take the call")
	flags.BoolVar(&noWait, "no-wait", false, "return when the call is durable; leat mcp executions shows its result")
	return cmd
}

func (a *app) call(ctx context.Context, c *client.Client, r request, key string, noWait bool) error {
	if err := deployed(ctx, c); err != nil {
		return err
	}
	text, err := events.EncodeJSON(r)
	if err != nil {
		return err
	}
	run, err := c.Start(ctx, client.StartRequest{Type: callType, Key: key, Input: json.RawMessage(text)})
	if err != nil {
		return err
	}
	name := events.NameOf(callType, key, run.InstanceID())
	if noWait {
		return a.Print.Value(map[string]string{"execution_id": run.InstanceID().String()}, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "accepted; leat mcp executions %s shows its result\n", name)
		})
	}
	s, err := run.Wait(ctx)
	if err != nil {
		a.Print.Say("the call goes on: leat mcp executions %s shows its result", name)
		return err
	}
	return a.called(&s, name)
}

// deployed makes sure that the definition of calls is there.
func deployed(ctx context.Context, c *client.Client) error {
	_, err := c.Definition(ctx, callType, 0)
	if err == nil || !errors.Is(err, client.ErrUnknownType) {
		return err
	}
	_, err = c.Deploy(ctx, client.DeployRequest{Name: callType + ".yaml", Source: callDefinition})
	return err
}

// called shows the result of a call, or says why there is none.
func (a *app) called(s *client.Instance, name string) error {
	if s.State == events.WorkflowCompleted {
		return a.Print.Value(s.Output, func(w io.Writer) { result(w, s.Output) })
	}
	failure := failureOf(s)
	fix := fmt.Sprintf("leat history %s %s shows what led to it", callType, name)
	if failure.Code == "MCP_OUTCOME_UNKNOWN" {
		fix = "find out whether the tool took effect before you call it again; " + fix
	}
	return problem.New(problem.WorkflowFailed, fmt.Sprintf("the call ended %s", s.State), failure.Code+": "+failure.Message, fix)
}

// failureOf is why a call failed, in the words of the call.
func failureOf(s *client.Instance) (e events.Error) {
	if json.Unmarshal(s.Output, &e) == nil && e.Code != "" {
		return e
	}
	if s.Error != nil {
		return *s.Error
	}
	return events.Error{Code: string(s.State), Message: "there is no result"}
}

// result shows what a tool answered: its texts, or everything as JSON.
func result(w io.Writer, output json.RawMessage) {
	var r struct {
		Content []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"content"`
		Structured json.RawMessage `json:"structured"`
	}
	texts := 0
	if json.Unmarshal(output, &r) == nil {
		for _, c := range r.Content {
			if c.Type == "text" {
				texts++
			}
		}
	}
	if texts > 0 && texts == len(r.Content) {
		for _, c := range r.Content {
			_, _ = fmt.Fprintln(w, c.Text)
		}
		return
	}
	var b bytes.Buffer
	if json.Indent(&b, output, "", "  ") == nil {
		_, _ = fmt.Fprintln(w, b.String())
	}
}
