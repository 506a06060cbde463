package ops

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// scrape is what /metrics says.
func scrape(t *testing.T, m Meters) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(new(Health), m.Registry, Build()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMCPMetrics(t *testing.T) {
	meters := NewMeters("executor")
	m := NewMetrics(meters).MCP()
	m.InFlight("files", "edit", 1)
	m.InFlight("files", "edit", 1)
	m.InFlight("files", "edit", -1)
	m.CallEnded("files", "edit", "ok", 3*time.Millisecond)
	m.CallEnded("files", "edit", "timeout", time.Second)
	m.Unknown("files", "edit")
	m.FailedOver("files", "edit")
	m.Probed("files", true, time.Millisecond)
	m.Probed("files", false, 0)
	m.Health("files", "healthy")
	m.Health("files", "degraded")
	m.Health("gone", "healthy")
	m.Health("gone", "")
	text := scrape(t, meters)
	for _, line := range []string{
		`leat_mcp_calls_in_flight{subsystem="files",tool="edit"} 1`,
		`leat_mcp_call_seconds_count{outcome="ok",subsystem="files",tool="edit"} 1`,
		`leat_mcp_call_seconds_count{outcome="timeout",subsystem="files",tool="edit"} 1`,
		`leat_mcp_outcome_unknown_total{subsystem="files",tool="edit"} 1`,
		`leat_mcp_failovers_total{subsystem="files",tool="edit"} 1`,
		`leat_mcp_probe_seconds_count{subsystem="files"} 1`,
		`leat_mcp_probe_failures_total{subsystem="files"} 1`,
		`leat_mcp_health{health="degraded",subsystem="files"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	for _, line := range []string{`health="healthy"`, `"gone"`} {
		if strings.Contains(text, line) {
			t.Errorf("%s is still there", line)
		}
	}
}

// However many tools are registered over the years, /metrics stays small, and what
// is counted already goes on being counted under its own name.
func TestMCPMetricsAreBounded(t *testing.T) {
	meters := NewMeters("executor")
	m := NewMetrics(meters).MCP()
	for i := range 3 * maxTools {
		m.Unknown(fmt.Sprintf("server-%d", i), "edit")
		m.Unknown("server-0", fmt.Sprintf("tool-%d", i))
	}
	m.Unknown("server-0", "edit")
	text := scrape(t, meters)
	if n := strings.Count(text, "leat_mcp_outcome_unknown_total{"); n > 2*maxTools+2 || n < maxTools {
		t.Errorf("%d series", n)
	}
	if line := `leat_mcp_outcome_unknown_total{subsystem="server-0",tool="edit"} 2`; !strings.Contains(text, line) {
		t.Errorf("no %s", line)
	}
	if !strings.Contains(text, `{subsystem="other",tool="other"}`) {
		t.Error("what is too much is not counted")
	}
}
