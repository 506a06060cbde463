package boot

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// TestLogLinesDoNotMoveTheCursor: a log shows what strangers wrote.
func TestLogLinesDoNotMoveTheCursor(t *testing.T) {
	const hostile = "a\x1b[31m\u009b5m\u202eb\x7f"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		logger, err := NewLogger(&out, "info", format)
		if err != nil {
			t.Fatal(err)
		}
		logger.With("key", hostile).Info(hostile, "other", hostile)
		if text := out.String(); events.ShowLines(text) != text {
			t.Errorf("%s: the terminal gets more than text: %q", format, text)
		}
		var line map[string]any
		if format == "json" && (json.Unmarshal(out.Bytes(), &line) != nil || line["key"] != hostile) {
			t.Errorf("the value is not the same in %s", &out)
		}
	}
}
