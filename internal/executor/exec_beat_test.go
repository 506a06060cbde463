//go:build unix

package executor

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

func TestAProgramKeepsDetailsForTheNextAttempt(t *testing.T) {
	const large = `head -c 70000 /dev/zero | tr '\0' 1 >&3; echo >&3; `
	for _, c := range []struct{ name, script, told, message string }{
		{"lines", `echo '{"page": 1}' >&3; echo >&3; printf '[2,\t3]\n4\n' >&3`, `{"page": 1}|[2,	3]|4`, ""},
		{"no end of the line", `printf '{"page":1}' >&3; exit 1`, `{"page":1}`, "exit status 1"},
		{"the descriptor's variable", `echo 1 >&$LEAT_HEARTBEAT_FD`, `1`, ""},
		{"not JSON", `echo page 1 >&3; echo 2 >&3; echo out of luck >&2; exit 1`, `2`, "out of luck\n\n(heartbeat of pay.charge: the details are not JSON: page 1)"},
		{"too large", large + `echo 2 >&3; exit 1`, `2`, "(heartbeat: a line is longer than 65536 bytes: keep what is large elsewhere, and where in the details)"},
		{"too large and completed", large, ``, ""},
		{"without", `echo 1`, ``, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told []string
			task := &events.Task{TaskName: "pay.charge"}
			ctx := context.WithValue(t.Context(), attemptKey{}, attempt{task: task, beat: func(d json.RawMessage) { told = append(told, string(d)) }})
			_, err := sh(t, c.script)(ctx, task)
			if got := strings.Join(told, "|"); got != c.told {
				t.Errorf("told %q, want %q", got, c.told)
			}
			if (err != nil) != (c.message != "") || err != nil && !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %q", err, c.message)
			}
		})
	}
}

func TestAProgramGetsDetailsOfEarlierAttempts(t *testing.T) {
	const script = `printf '"%s"' "${LEAT_HEARTBEAT_DETAILS-none}"`
	for details, want := range map[string]string{"": `"none"`, `7`: `"7"`} {
		task := &events.Task{}
		if details != "" {
			task.HeartbeatDetails = json.RawMessage(details)
		}
		if got, err := sh(t, script)(t.Context(), task); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v", details, got, err)
		}
	}
}

// The whole way: heartbeats and the failure carry what a program wrote.
func TestAProgramsHeartbeatsReachTheRouter(t *testing.T) {
	b := newBench(t, 1)
	stop := b.start(b.executor(Config{ClaimAfter: time.Millisecond}, sh(t, `echo '{"page":7}' >&3; sleep 1; echo '{"page":8}' >&3; exit 1`)))
	b.issue(b.task("pay.charge", func(t *events.Task) { t.Timeouts.Heartbeat = 30 * time.Millisecond }))
	got := b.until("result", atLeast(events.CommandResult, 1))
	if d := got[len(got)-1].Result.HeartbeatDetails; string(d) != `{"page":8}` {
		t.Errorf("the failure has details %s", d)
	}
	if !slices.ContainsFunc(got, func(c events.Command) bool {
		return c.Command == events.CommandHeartbeat && string(c.Result.HeartbeatDetails) == `{"page":7}`
	}) {
		t.Error("no heartbeat has the details")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
