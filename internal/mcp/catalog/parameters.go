package catalog

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// Parameter is one argument of a tool, for people and filters. Calls are checked
// against the whole schema.
type Parameter struct {
	Name        string          `json:"name"`
	Type        string          `json:"parameter_type"` // string, number, integer, boolean, array, object, null; "" when the schema does not say
	Description string          `json:"description,omitempty"`
	Required    bool            `json:"required"`
	Default     json.RawMessage `json:"default_value,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
}

// Parameters lists the arguments of a tool by name, as far as its schema lists them.
func Parameters(t *events.MCPTool) []Parameter {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if json.Unmarshal(t.InputSchema, &schema) != nil {
		return nil
	}
	all := make([]Parameter, 0, len(schema.Properties))
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		var p struct {
			Type        json.RawMessage `json:"type"`
			Description string          `json:"description"`
			Default     json.RawMessage `json:"default"`
		}
		_ = json.Unmarshal(schema.Properties[name], &p) // true and false are schemas, too
		var kind string
		_ = json.Unmarshal(p.Type, &kind) // a list of types says none
		all = append(all, Parameter{
			Name: name, Type: kind, Description: p.Description, Required: slices.Contains(schema.Required, name), Default: p.Default, Schema: schema.Properties[name],
		})
	}
	return all
}
