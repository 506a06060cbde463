package ops

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the reference anew")

const referencePage = "../../../docs/reference/metrics.md"

// described reads what a metric says of itself.
var described = regexp.MustCompile(`fqName: "(leat_[^"]+)", help: "((?:[^"\\]|\\.)*)", unit: "", constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}`)

// The reference has every metric that a worker makes, and no other.
func TestReference(t *testing.T) {
	meters := NewMeters("router")
	all := NewMetrics(meters)
	meters.Kafka()
	all.Router()
	all.Projector()
	all.Executor()
	all.Gateway()
	all.Nodes()
	all.MCP()
	found := make(chan *prometheus.Desc, 1000)
	meters.Registry.Describe(found)
	close(found)
	var rows []string
	for d := range found {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			continue // of the Go runtime and of the process
		}
		var labels []string
		for _, l := range strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' }) {
			labels = append(labels, "`"+l+"`")
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", m[1], strings.Join(labels, ", "), m[2]))
	}
	slices.Sort(rows)
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	const head = "| Metric | Labels | Meaning |\n|---|---|---|\n"
	before, _, ok := strings.Cut(string(page), head)
	if want := before + head + strings.Join(rows, "\n") + "\n"; !ok || string(page) != want {
		if !*update {
			t.Fatal("the page is not what the code says: go test ./internal/boot/ops -update")
		}
		if err := os.WriteFile(referencePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
