package cli

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/problem"
)

// What people see of the workers of `leat dev`, directly and through a projector.
func TestNodes(t *testing.T) {
	p := startDev(t, t.TempDir(), "--exec", "train.model=cat", "--capability", "gpu", "--capability", "cuda,avx", "--capacity", "gpu=2,memory_mb=8192")
	direct := func(args ...string) (int, string, string) {
		return leat(t, "", append(args, "--brokers", p.ready.Kafka)...)
	}
	through := func(args ...string) (int, string, string) { return p.leat(t, args...) }
	for _, run := range []func(...string) (int, string, string){direct, through} {
		for deadline := time.Now().Add(20 * time.Second); ; {
			if _, out, _ := run("node", "list"); strings.Count(out, "healthy") == 3 && strings.Contains(out, "train") {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("not all workers are nodes:\n%s", out)
			}
		}
	}
	golden(t, "node-list.txt", aged(p.must(t, "node", "list")))
	golden(t, "node-show.txt", aged(p.must(t, "node", "show", "dev")))
	golden(t, "node-find.txt", aged(p.must(t, "node", "find", "--requires", "gpu", "--resources", "memory_mb=4096,gpu=2")))
	var found []struct {
		NodeID   string           `json:"node_id"`
		Capacity map[string]int64 `json:"capacity_limits"`
		Health   string           `json:"health_status"`
		Last     time.Time        `json:"last_heartbeat"`
	}
	decode(t, p.must(t, "node", "find", "--requires", "gpu", "-o", "json"), &found)
	if len(found) != 1 || found[0].NodeID != "dev" || found[0].Capacity["memory_mb"] != 8192 || found[0].Health != "healthy" || found[0].Last.IsZero() {
		t.Errorf("found %+v", found)
	}
	for _, c := range []struct {
		args string
		exit int
		says string
	}{
		{"find --requires tpu", problem.ExitNotFound, "no live node has tpu: dev does not have tpu"},
		{"find --resources gpu=3", problem.ExitNotFound, "dev has 2 gpu, wanted are 3"},
		{"find --queue mail", problem.ExitNotFound, "does not run tasks of queue mail"},
		{"find --resources gpu", problem.ExitUsage, "want name=amount"},
		{"find --resources gpu=-1", problem.ExitUsage, "is not an amount"},
		{"find --resources gpu=99999999999999999999", problem.ExitUsage, "want name=amount"},
		{"show deb", problem.ExitNotFound, "did you mean dev?"},
		{"list --type GPU", problem.ExitUsage, "COMPUTE, EFFECT, REDUCER, ORCHESTRATOR"},
		{"list --type orchestrator", 0, ""},
	} {
		for _, run := range []func(...string) (int, string, string){direct, through} {
			code, out, errs := run(append([]string{"node"}, strings.Fields(c.args)...)...)
			if code != c.exit || !strings.Contains(errs, c.says) {
				t.Errorf("leat node %s: exit %d, want %d and %q\n%s%s", c.args, code, c.exit, c.says, out, errs)
			}
		}
	}
}

func TestNodeFlagsAreChecked(t *testing.T) {
	for _, args := range [][]string{{"--capacity", "gpu"}, {"--capacity", "gpu=-1"}, {"--capacity", "gpu=1,gpu=2"}, {"--capacity", "gpu=99999999999999999"}, {"--capacity", "slots=2"}, {"--capability", "a b"}} {
		args = append([]string{"dev", "--memory", "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0"}, args...)
		if code, _, errs := leat(t, "", args...); code == 0 || !strings.Contains(errs, "capacity") && !strings.Contains(errs, "capabilit") {
			t.Errorf("leat %s: exit %d\n%s", strings.Join(args, " "), code, errs)
		}
	}
}

// aged is what is shown without ages, ids, addresses and versions.
func aged(text string) string {
	for pattern, with := range map[string]string{
		`\d+s ago`: "0s ago", `[0-9a-f]{8}-[0-9a-f-]{27}`: "UUID", `127\.0\.0\.1:\d+`: "127.0.0.1:PORT", `started +.*`: "started       WHEN",
		`(?m)^version +.*`: "version       VERSION", `(\(devel\)|v[0-9][^ \n]*|unknown) *`: "VERSION", `slots=\d+/`: "slots=0/", `slots: \d+ of`: "slots: 0 of",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	return text
}
