package serve

import (
	"encoding/json"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// contentOf is a result as the protocol has it.
func contentOf(r *Result) *mcp.CallToolResult {
	out := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: r.Text}}, IsError: r.Failed}
	if r.Structured != nil {
		out.StructuredContent = r.Structured // as it is: numbers keep their digits
	}
	if r.History != "" {
		out.Meta = mcp.Meta{"io.leat/history": r.History}
	}
	return out
}

// asked is what a person is asked, as the protocol has it.
func asked(questions map[string]Question) mcp.InputRequestMap {
	if len(questions) == 0 {
		return nil
	}
	out := make(mcp.InputRequestMap, len(questions))
	for id, q := range questions {
		out[id] = &mcp.ElicitParams{Mode: "form", Message: q.Message, RequestedSchema: q.Schema}
	}
	return out
}

// answersOf reads what the client answered to questions.
func answersOf(responses mcp.InputResponseMap) (map[string]Answer, error) {
	var out map[string]Answer
	for id, r := range responses {
		said, ok := r.(*mcp.ElicitResult)
		if !ok {
			return nil, Invalid("inputResponses[%q] is no answer to an elicitation", id)
		}
		a := Answer{Action: said.Action}
		if said.Content != nil {
			content, err := json.Marshal(said.Content)
			if err != nil {
				return nil, Invalid("inputResponses[%q]: %v", id, err)
			}
			a.Content = content
		}
		if out == nil {
			out = make(map[string]Answer)
		}
		out[id] = a
	}
	return out, nil
}

// taskResult is a task as the extension has it: of a call that became one, and of
// tasks/get.
type taskResult struct {
	mcp.ResultBase
	ResultType     string              `json:"resultType"` // task, or complete
	TaskID         string              `json:"taskId"`
	Status         Status              `json:"status"`
	StatusMessage  string              `json:"statusMessage,omitempty"`
	CreatedAt      string              `json:"createdAt"`
	LastUpdatedAt  string              `json:"lastUpdatedAt"`
	TTLMs          *int64              `json:"ttlMs"` // null: for ever
	PollIntervalMs int64               `json:"pollIntervalMs,omitempty"`
	InputRequests  mcp.InputRequestMap `json:"inputRequests,omitempty"`
	Result         *mcp.CallToolResult `json:"result,omitempty"`
	Error          *jsonrpc.Error      `json:"error,omitempty"`
}

// createdOf is the answer of a call that became a task. What came of it is for
// tasks/get.
func createdOf(t *Task) *taskResult {
	out := &taskResult{
		ResultType: "task", TaskID: t.ID, Status: t.Status, StatusMessage: t.Message,
		CreatedAt: stamp(t.Created), LastUpdatedAt: stamp(t.Updated), PollIntervalMs: t.Poll.Milliseconds(),
	}
	if t.Kept > 0 {
		kept := t.Kept.Milliseconds()
		out.TTLMs = &kept
	}
	return out
}

// detailsOf is the answer of tasks/get.
func detailsOf(t *Task) *taskResult {
	out := createdOf(t)
	out.ResultType = "complete"
	switch t.Status {
	case InputRequired:
		out.InputRequests = asked(t.Asked)
	case Completed:
		if t.Result != nil {
			out.Result = contentOf(t.Result)
		}
	case Failed:
		if t.Err != nil {
			out.Error = &jsonrpc.Error{Code: t.Err.Code, Message: t.Err.Message, Data: t.Err.Data}
		}
	default: // there is no more to say
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
