package cli

import (
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/problem"
)

// A task for a person, a child workflow, and what a person learns who comes too
// late, is not the one who has the task, or fills the form in wrongly.
func TestPeopleAndChildren(t *testing.T) {
	p := startDev(t, t.TempDir())
	p.must(t, "def", "deploy", "testdata/leave.yaml")
	p.must(t, "def", "deploy", "testdata/note.yaml")
	p.must(t, "start", "leave", "--key", "l-1", "--input", `{"boss": "ann", "days": 3}`, "--wait")
	golden(t, "tasks.txt", steady(p.must(t, "task", "list", "--assignee", "ann")))
	for _, c := range []struct {
		args string
		exit int
		says string
	}{
		{`complete leave l-1 approve --result {"ok":"yes"} --as ann`, problem.ExitError, "form.ok"},
		{`claim leave l-1 approve --as ann`, 0, ""},
		{`claim leave l-1 approve --as bob`, problem.ExitConflict, "claimed by ann"},
		{`complete leave l-1 approve --result {"ok":true} --as bob`, problem.ExitConflict, "claimed by ann"},
		{`complete leave l-1 approve --result {"ok":true} --as ann`, 0, ""},
		{`complete leave l-1 approve --result {"ok":true} --as ann`, problem.ExitConflict, "no open task"},
		{`complete leave l-9 approve --as ann`, problem.ExitNotFound, "l-9"},
		{`complete leave l-1 approve`, problem.ExitUsage, "--as"},
		{`fail leave l-1 approve --as ann`, problem.ExitUsage, "--code"},
		{`list --state waiting`, problem.ExitUsage, "waiting_for_input"},
	} {
		code, out, errs := p.leat(t, append([]string{"task"}, strings.Fields(c.args)...)...)
		if code != c.exit || !strings.Contains(errs, c.says) {
			t.Errorf("leat task %s: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
	p.must(t, "def", "deploy", "testdata/charge.yaml")
	p.must(t, "start", "charge", "--key", "c-1", "--wait")
	for _, args := range [][]string{{"claim"}, {"complete", "--result", `{"stolen":true}`}, {"fail", "--code", "NO"}} {
		args = append(append([]string{"task", args[0], "charge", "c-1", "pay", "--as", "ann"}, args[1:]...), "--timeout", "10s")
		if code, out, errs := p.leat(t, args...); code != problem.ExitConflict || !strings.Contains(errs, "not for people") {
			t.Errorf("leat %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
		}
	}
	for _, args := range [][]string{{"get", "charge", "c-1", "-o", "json"}, {"history", "charge", "c-1", "-o", "json"}} {
		if out := p.must(t, args...); strings.Contains(out, "token") || !strings.Contains(out, "bank.charge") {
			t.Errorf("leat %v:\n%s", args, out)
		}
	}
	var parent struct {
		Chart struct {
			Tasks []struct {
				Child struct {
					ID string `json:"instance_id"`
				}
			}
		}
	}
	decode(t, p.must(t, "get", "leave", "l-1", "-o", "json"), &parent)
	child := parent.Chart.Tasks[0].Child.ID
	if out := p.must(t, "get", "note", child, "--min-sequence", "3"); !strings.Contains(out, "parent") {
		t.Errorf("a child does not say whose it is:\n%s", out)
	}
	p.must(t, "task", "complete", "note", child, "read", "--as", "cyd")
	golden(t, "leave.txt", steady(p.must(t, "get", "leave", "l-1", "--min-sequence", "10")))
}
