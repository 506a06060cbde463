package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/problem"
)

func TestScheduleNextWithoutAServer(t *testing.T) {
	for _, c := range []struct{ name, args string }{
		{"skipped", "--cron|30 2 * * *|--tz|Europe/Berlin|--after|2026-03-28|-n|3"},
		{"doubled", "--cron|30 2 * * *|--cron|30 * * * *|--tz|Europe/Berlin|--after|2026-10-25T01:45|-n|4"},
		{"jitter", "--every|90m|--jitter|5m|--after|2026-11-24T09:00:00Z|--end|2026-11-24T13:00|-o|json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := leat(t, "", append([]string{"schedule", "next"}, strings.Split(c.args, "|")...)...)
			if code != 0 {
				t.Fatalf("exit %d: %s", code, errs)
			}
			golden(t, "schedule-next-"+c.name+".txt", out)
		})
	}
}

func TestScheduleMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(file, []byte("schedule: a\ntype: b\ncorn: ['0 3 * * *']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, says string
		exit       int
	}{
		{"next|--cron|0 0 3 * * *", "five fields", problem.ExitUsage},
		{"next", "one of them must say when", problem.ExitUsage},
		{"next|--every|5", "--every", problem.ExitUsage},
		{"next|--every|1h|--start|tomorrow", "--start", problem.ExitUsage},
		{"next|--cron|0 3 * * *|--tz|Europe/Berlim", "Europe/Berlim", problem.ExitUsage},
		{"create|a|--type|b|--every|1h|--overlap|buffer_al", "did you mean buffer_all", problem.ExitUsage},
		{"create|a|--every|1h", "type", problem.ExitUsage},
		{"apply|" + file, "corn", problem.ExitUsage},
		{"trigger|a|--command-id|7", "UUID", problem.ExitUsage},
		{"nxt", "did you mean: leat schedule next", problem.ExitUsage},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, _, errs := leat(t, "", append([]string{"schedule"}, strings.Split(c.args, "|")...)...)
			if code != c.exit || !strings.Contains(errs, c.says) {
				t.Errorf("exit %d, want %d and %q in\n%s", code, c.exit, c.says, errs)
			}
		})
	}
}

func TestScheduleJourney(t *testing.T) {
	p := startDev(t, t.TempDir())
	p.must(t, "def", "deploy", "testdata/approval.yaml")
	file := filepath.Join(t.TempDir(), "nightly.yaml")
	text := "schedule: nightly\ntype: approval\ncron: ['0 3 * * *']\ntime_zone: Europe/Berlin\noverlap: buffer_all\ninput: {amount: 5, day: '{date}'}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := p.must(t, "schedule", "apply", file); !strings.Contains(out, "applied schedule nightly") {
		t.Errorf("apply says\n%s", out)
	}
	if out := p.must(t, "schedule", "apply", file); !strings.Contains(out, "unchanged schedule nightly") {
		t.Errorf("apply again says\n%s", out)
	}
	code, _, errs := p.leat(t, "schedule", "create", "nightly", "--type", "approval", "--every", "1h")
	if code != problem.ExitConflict {
		t.Errorf("a second create: exit %d\n%s", code, errs)
	}
	if code, _, errs := p.leat(t, "schedule", "get", "nightli"); code != problem.ExitNotFound || !strings.Contains(errs, "did you mean nightly") {
		t.Errorf("a schedule that is not there: exit %d\n%s", code, errs)
	}
	p.must(t, "schedule", "pause", "nightly", "--note", "moving")
	golden(t, "schedule-list.txt", p.must(t, "schedule", "list"))
	p.must(t, "schedule", "backfill", "nightly", "--from", "2026-03-28", "--to", "2026-03-30", "--overlap", "allow_all")
	for _, key := range []string{"28T02", "29T01"} { // in UTC, the night of the change between them
		tick := time.NewTicker(20 * time.Millisecond)
		limit := time.After(30 * time.Second)
		for !strings.Contains(p.must(t, "list", "--type", "approval"), "nightly/2026-03-"+key+":00:00Z") {
			select {
			case <-tick.C:
			case <-limit:
				t.Fatalf("no instance for %s", key)
			}
		}
		tick.Stop()
	}
	p.must(t, "schedule", "resume", "nightly")
	p.must(t, "schedule", "delete", "nightly")
	if out := p.must(t, "schedule", "list", "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("after delete there is %s", out)
	}
}
