package ops

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/events"
)

// NewLogger writes JSON lines, or text for people. level is debug, info, warn
// or error; format json, text or auto.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, problem.New(problem.BadSetting, fmt.Sprintf("setting log.level has the value %q", level), "there is no such level", "set it to debug, info, warn or error")
	}
	if !slices.Contains([]string{"json", "text", "auto"}, format) {
		return nil, problem.New(problem.BadSetting, fmt.Sprintf("setting log.format has the value %q", format), "there is no such format", "set it to json, text or auto")
	}
	options := &slog.HandlerOptions{Level: l}
	if format == "text" || format == "auto" && IsTerminal(w) {
		options.ReplaceAttr = forPeople
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(shownJSON{w}, options)), nil
}

// shownJSON writes lines of JSON with escapes for what a terminal would obey,
// any writer; text lines quote such things already.
type shownJSON struct{ io.Writer }

func (w shownJSON) Write(line []byte) (int, error) {
	if _, err := w.Writer.Write(events.ShowJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// forPeople shortens the time to that of the day.
func forPeople(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
	}
	return a
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && !strings.HasSuffix(f.Name(), os.DevNull)
}
