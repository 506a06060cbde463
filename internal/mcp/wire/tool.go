package wire

import "encoding/json"

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

	headers []paramHeader
}

// Refusal is a tool that is not offered, and why.
type Refusal struct {
	Name string // "" when it has none
	Why  string
}
