package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/internal/mcp/register"
	"github.com/leat-io/leat/internal/mcp/routing"
	"github.com/leat-io/leat/pkg/events"
)

// The page of MCP servers has every word that the file, the records and the
// metrics have, and the legal moves.
func TestMCPReference(t *testing.T) {
	page := read(t, docsDir+"/reference/mcp.md")
	var want []string
	want = append(want, register.Fields()...)
	want = append(want, texts(events.MCPSubsystemTypes())...)
	want = append(want, texts(events.MCPToolTypes())...)
	want = append(want, texts(events.MCPTrusts())...)
	want = append(want, texts(events.HealthStatuses())...)
	want = append(want, texts(events.MCPLifecycleStates())...)
	want = append(want, texts(events.MCPConnectionStatuses())...)
	want = append(want, texts(events.CircuitBreakerStates())...)
	want = append(want, texts(events.MCPReasons())...)
	want = append(want, texts(routing.Policies())...)
	want = append(want, texts([]catalog.Status{catalog.StatusApproved, catalog.StatusNew, catalog.StatusChanged, catalog.StatusGone, catalog.StatusRefused})...)
	want = append(want, regexp.MustCompile(`leat_mcp_[a-z_]+`).FindAllString(read(t, "../../internal/boot/ops/metrics_workers.go"), -1)...)
	if len(want) < 70 {
		t.Fatalf("only %d words: the test has lost its subject", len(want))
	}
	for _, word := range want {
		if !strings.Contains(page, "`"+word+"`") {
			t.Errorf("the page does not have `%s`", word)
		}
	}
	moves := strings.TrimSpace(read(t, "../../internal/mcp/health/testdata/moves.txt"))
	if !strings.Contains(page, "```\n"+moves+"\n```") {
		t.Error("the legal moves on the page are not those of internal/mcp/health/testdata/moves.txt")
	}
}

// The file that the how-to shows can be registered.
func TestMCPExample(t *testing.T) {
	text, err := os.ReadFile(docsDir + "/how-to/examples/mcp/files.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if servers, findings := register.Parse("files.yaml", text, time.Now()); len(findings) > 0 || len(servers) != 1 {
		t.Errorf("%v", findings)
	}
}

func texts[E ~string](all []E) (out []string) {
	for _, e := range all {
		out = append(out, string(e))
	}
	return out
}
