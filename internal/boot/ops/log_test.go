package ops

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

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

func TestLimitedLog(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	logger := Limit(slog.New(slog.NewJSONHandler(&out, nil)))
	logger.Handler().(limited).state.now = func() time.Time { return now }
	for range 1000 {
		logger.With("x", 1).Warn("away")
		now = now.Add(time.Second)
	}
	logger.Warn("something else")
	if n := strings.Count(out.String(), "\n"); n != 1000/30+1+1 || !strings.Contains(out.String(), `"not_shown":29`) {
		t.Errorf("%d lines of 1001\n%s", n, &out)
	}
}
