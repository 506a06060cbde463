package catalog

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// Change is one part of a tool that differs.
type Change struct {
	Part  string `json:"part"` // description, inputSchema, outputSchema or annotations
	Lines []Line `json:"lines"`
}

// Line is a line of a part: that both have, or one of them.
type Line struct {
	Op   string `json:"op"` // " ", "-" or "+"
	Text string `json:"text"`
}

// Difference is what somebody has to see before a tool is approved: every part
// that differs from what was approved before, or everything when before is nil.
func Difference(before, now *events.MCPTool) (all []Change) {
	if before == nil {
		before = &events.MCPTool{}
	}
	for _, part := range []struct {
		name        string
		before, now string
	}{
		{"description", before.Description, now.Description},
		{"inputSchema", indented(before.InputSchema), indented(now.InputSchema)},
		{"outputSchema", indented(before.OutputSchema), indented(now.OutputSchema)},
		{"annotations", indented(before.Annotations), indented(now.Annotations)},
	} {
		if part.before != part.now {
			all = append(all, Change{Part: part.name, Lines: diff(lines(part.before), lines(part.now))})
		}
	}
	return all
}

// indented is JSON for people, the same for the same pin.
func indented(text json.RawMessage) string {
	if text == nil {
		return ""
	}
	canonical, err := events.AppendCanonicalJSON(nil, text)
	if err != nil {
		return string(text)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, canonical, "", "  "); err != nil {
		return string(text)
	}
	return b.String()
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// maxCells bounds the table of diff: what is larger is shown as taken away and
// added whole.
const maxCells = 4 << 20

// diff is the shortest way from one text to the other.
func diff(before, now []string) (out []Line) {
	head := 0
	for head < len(before) && head < len(now) && before[head] == now[head] {
		out = append(out, Line{" ", before[head]})
		head++
	}
	tail := 0
	for tail < len(before)-head && tail < len(now)-head && before[len(before)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	out = append(out, middle(before[head:len(before)-tail], now[head:len(now)-tail])...)
	for _, text := range before[len(before)-tail:] {
		out = append(out, Line{" ", text})
	}
	return out
}

// middle finds the longest common subsequence.
func middle(a, b []string) (out []Line) {
	width := len(b) + 1
	if (len(a)+1)*width > maxCells {
		return append(marked("-", a), marked("+", b)...)
	}
	longest := make([]int32, (len(a)+1)*width)
	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			if a[i] == b[j] {
				longest[i*width+j] = longest[(i+1)*width+j+1] + 1
			} else {
				longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			out = append(out, Line{" ", a[i]})
			i, j = i+1, j+1
		case longest[(i+1)*width+j] >= longest[i*width+j+1]:
			out = append(out, Line{"-", a[i]})
			i++
		default:
			out = append(out, Line{"+", b[j]})
			j++
		}
	}
	return append(append(out, marked("-", a[i:])...), marked("+", b[j:])...)
}

func marked(op string, texts []string) (out []Line) {
	for _, text := range texts {
		out = append(out, Line{op, text})
	}
	return out
}
