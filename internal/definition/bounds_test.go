package definition_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/definition"
)

// worstFiles are the shapes of file that cost most to read, each of size bytes
// or what makes it worst before that.
func worstFiles(size int) map[string]string {
	head := "leat: v1\ntype: t\nversion: 1\n"
	fill := func(head, part string, n int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; i < n && b.Len() < size-200; i++ {
			b.WriteString(strings.ReplaceAll(part, "#", strconv.Itoa(i)))
		}
		return b.String()
	}
	return map[string]string{
		"wrong targets": fill(head+"states:\n", "  s#: {on: {e: unknown_target_number_#}}\n", 4000),
		"chain":         fill(head+"states:\n", "  s#: {always: s#x, on: {e: s#}}\n  s#x: {}\n", 2000),
		"expressions":   fill(head+"states:\n  a:\n    on:\n", "      e#: {guard: \"input.a + input.b * 2 > 3 && active('a')\"}\n", 20000),
		"parentheses":   head + "states:\n  a: {on: {e: {guard: \"" + strings.Repeat("(", 90) + "1" + strings.Repeat(")", 90) + " == 1\"}}}\n",
		"terms":         head + "states:\n  a: {on: {e: {guard: \"1" + strings.Repeat(" + 1", 2000) + " == 1\"}}}\n",
		"keys":          fill(head, "k#: 1\n", 60000),
		"always":        fill(head+"states:\n  s: {on: {x: s1}}\n", "  s#: {always: [{guard: input.a, target: s}, {guard: input.b, target: s#}]}\n", 2000),
		"regions":       fill(head+"states:\n  p:\n    type: parallel\n    states:\n", "      r#: {states: {r#a: {on: {e: r#b}}, r#b: {}}}\n", 1300),
	}
}

// TestWorstFilesAreRead says that no shape of file keeps the parser for ever; how
// long each takes at the largest size allowed is the benchmark's to say.
func TestWorstFilesAreRead(t *testing.T) {
	for name, src := range worstFiles(64 << 10) {
		t.Run(name, func(t *testing.T) {
			if machine, findings, err := definition.Parse("x", []byte(src)); machine == nil && err == nil {
				t.Errorf("neither a machine nor an error, %d findings", len(findings))
			}
		})
	}
}

func BenchmarkWorstFiles(b *testing.B) {
	for name, src := range worstFiles(definition.MaxSize) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				_, _, _ = definition.Parse("x", []byte(src))
			}
		})
	}
}
