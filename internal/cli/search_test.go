package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
)

func TestSearchAndRetention(t *testing.T) {
	p := startDev(t, t.TempDir())
	p.must(t, "def", "deploy", "testdata/filing.yaml")
	for _, in := range []string{
		`{"amount": 120.5, "city": "Novara", "tags": ["fire"]}`, `{"amount": 40, "city": "Novi", "tags": ["water", "roof"]}`,
		`{"amount": 900, "city": "Torino", "tags": ["fire", "roof"]}`,
	} {
		p.must(t, "start", "filing", "--key", "c-"+in[11:12], "--input", in, "--wait")
	}
	golden(t, "list-where.txt", steady(p.must(t, "list", "--type", "filing", "--where", "amount > 100")))
	golden(t, "count-where.txt", p.must(t, "count", "filing", "--where", "tags = roof", "--where", "city ^= Nov"))
	// Without a projector the answer is the same.
	_, out, _ := leat(t, "", "count", "filing", "--where", "tags = roof", "--where", "city ^= Nov", "--brokers", p.ready.Kafka)
	if out != read(t, "testdata/count-where.txt") {
		t.Errorf("counted from the topics:\n%s", out)
	}
	for _, args := range [][]string{
		{"list", "--type", "filing", "--where", "amuont > 1"},
		{"list", "--where", "amount > 1"},
		{"count", "filing", "--where", "amount > x"},
		{"count", "filing", "--where", "amount"},
	} {
		if code, _, errs := p.leat(t, args...); code != problem.ExitUsage || strings.Contains(args[len(args)-1], "amuont") && !strings.Contains(errs, "did you mean amount?") {
			t.Errorf("leat %s: exit %d\n%s", strings.Join(args, " "), code, errs)
		}
	}

	p.must(t, "signal", "filing", "c-4", "settle", "--wait")
	deadline := time.Now().Add(20 * time.Second)
	for {
		code, _, errs := p.leat(t, "get", "filing", "c-4")
		if code == problem.ExitNotFound && strings.Contains(errs, "LEAT-W006") && strings.Contains(errs, "leat history filing c-4 --brokers") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("get of what should be forgotten: exit %d\n%s", code, errs)
		}
		kafka.Pause(t.Context(), 20*time.Millisecond)
	}
	if out := p.must(t, "list", "--type", "filing", "--where", "city = Novi", "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("still listed: %s", out)
	}
	if code, _, errs := p.leat(t, "history", "filing", "c-4"); code != problem.ExitNotFound || !strings.Contains(errs, "LEAT-W006") {
		t.Errorf("history from the view: exit %d\n%s", code, errs)
	}
	if _, out, _ := leat(t, "", "history", "filing", "c-4", "--brokers", p.ready.Kafka); !strings.Contains(out, "workflow.completed") {
		t.Errorf("history from the topic:\n%s", out)
	}
}
