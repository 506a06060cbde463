package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/pkg/events"
)

// writeYAML writes the same names and values as the JSON, in the same order.
func writeYAML(w io.Writer, v any) error {
	var text bytes.Buffer
	if err := writeJSON(&text, v, ""); err != nil {
		return err
	}
	decoder := json.NewDecoder(&text)
	decoder.UseNumber()
	document, err := yamlNode(decoder)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(document); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	_, err = w.Write(events.ShowJSON(out.Bytes())) // YAML has the same escapes
	return err
}

// yamlNode reads one JSON value as a node of YAML.
func yamlNode(from *json.Decoder) (*yaml.Node, error) {
	token, err := from.Token()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{Kind: yaml.ScalarNode}
	switch v := token.(type) {
	case json.Number:
		node.Value = v.String() // with every digit
		return node, nil
	case json.Delim:
		node.Kind = yaml.SequenceNode
		if v == '{' {
			node.Kind = yaml.MappingNode
		}
	default:
		err := node.Encode(v) // knows which text needs quotes
		if text, ok := v.(string); ok && events.ShowLines(text) != text {
			node.Style = yaml.DoubleQuotedStyle // in which escapes are read
		}
		return node, err
	}
	for from.More() { // the names in a map are nodes too
		item, err := yamlNode(from)
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, item)
	}
	if _, err := from.Token(); err != nil { // the closing bracket
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	return node, nil
}
