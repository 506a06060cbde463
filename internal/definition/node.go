package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/leat-io/leat/pkg/fsm"
)

// Bounds of a definition.
const (
	MaxSize  = 1 << 20 // bytes of a file
	MaxDepth = 64      // of states, and of values below a state

	maxNodeDepth = 3 * MaxDepth
)

// kind is what a node of the file is.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindFloat
	kindText
	kindList
	kindMap
)

func (k kind) String() string {
	return [...]string{"null", "true or false", "a whole number", "a number", "text", "a list", "a map"}[k]
}

// node is one value of the file, of YAML or JSON alike.
type node struct {
	pos    fsm.Pos
	kind   kind
	text   string // of scalars, as written
	quoted bool   // text in quotes: an expression begins one column later
	value  any    // bool, int64, float64
	keys   []*node
	items  []*node // of a list; of a map by the position of its key
}

// get is the value of a key, or nil.
func (n *node) get(key string) *node {
	for i, k := range n.keys {
		if k.text == key {
			return n.items[i]
		}
	}
	return nil
}

// problem is why a file cannot be read at all.
type problem struct {
	pos  fsm.Pos
	rule string
	text string
}

func (p *problem) Error() string { return p.text }

// parseNode reads a file into nodes.
func parseNode(src []byte) (*node, error) {
	if len(src) > MaxSize {
		return nil, &problem{fsm.Pos{Line: 1, Col: 1}, "too-large", fmt.Sprintf("the file is %d bytes, at most %d", len(src), MaxSize)}
	}
	if !utf8.Valid(src) {
		return nil, &problem{fsm.Pos{Line: 1, Col: 1}, "syntax", "the file is not UTF-8"}
	}
	if trimmed := bytes.TrimLeft(src, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		n, err := parseJSON(src)
		var bad *problem
		if err == nil || errors.As(err, &bad) && bad.rule != "syntax" {
			return n, err
		}
		if n, yamlErr := parseYAML(src); yamlErr == nil {
			return n, nil
		}
		return nil, err
	}
	return parseYAML(src)
}

// toJSON writes a node as JSON, keys in the order of the file. A float carries a
// fraction or an exponent.
func (n *node) toJSON(b []byte) []byte {
	switch n.kind {
	case kindNull:
		return append(b, "null"...)
	case kindBool:
		return strconv.AppendBool(b, n.value.(bool))
	case kindInt:
		return strconv.AppendInt(b, n.value.(int64), 10)
	case kindFloat:
		start := len(b)
		b = strconv.AppendFloat(b, n.value.(float64), 'g', -1, 64)
		if !bytes.ContainsAny(b[start:], ".e") {
			b = append(b, ".0"...)
		}
		return b
	case kindText:
		return appendText(b, n.text)
	case kindList:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.toJSON(b)
		}
		return append(b, ']')
	default:
		b = append(b, '{')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, n.keys[i].text), ':')
			b = item.toJSON(b)
		}
		return append(b, '}')
	}
}

func appendText(b []byte, text string) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string cannot fail
	return append(b, bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))...)
}
