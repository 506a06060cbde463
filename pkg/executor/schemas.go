package executor

import (
	"encoding/json"

	"github.com/leat-io/leat/internal/jsonfit"
)

// TaskSchema says as JSON Schemas (2020-12) what the handler of a task takes and
// gives.
type TaskSchema struct {
	Input  json.RawMessage `json:"input"`
	Output json.RawMessage `json:"output"`
}

// Schemas describes the handlers that were given with [Handle], by name. Written
// to a file, it is what `leat def validate --workers FILE` compares a definition
// with. A field is required unless it is omitempty, omitzero or a pointer.
func (e *Executor) Schemas() map[string]TaskSchema {
	out := make(map[string]TaskSchema, len(e.handlers))
	for _, h := range e.handlers {
		if h.in != nil {
			out[h.name] = TaskSchema{Input: jsonfit.Schema(h.in), Output: jsonfit.Schema(h.out)}
		}
	}
	return out
}
