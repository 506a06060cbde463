package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/examples/internal/devleat"
	"github.com/leat-io/leat/pkg/client"
)

// workflowType is the type that quake.yaml defines.
const workflowType = "quake"

// Table is how many quakes ended where.
type Table struct {
	Dismissed  int `json:"dismissed"`
	Unreviewed int `json:"unreviewed"`
	Alerted    int `json:"alerted"`
	Filed      int `json:"filed"`
}

// add counts one end; it reports false for one that the table does not have.
func (t *Table) add(state string) bool {
	switch state {
	case "dismissed":
		t.Dismissed++
	case "unreviewed":
		t.Unreviewed++
	case "alerted":
		t.Alerted++
	case "filed":
		t.Filed++
	default:
		return false
	}
	return true
}

// expected is the table that the rules lead to when no review is late.
func expected(quakes []Quake) Table {
	var t Table
	for _, q := range quakes {
		switch s := severity(q); {
		case s == None:
			t.Dismissed++
		case q.Status == "automatic" && !reviewedAtOnce(q):
			t.Unreviewed++
		case s == Major:
			t.Alerted++
		default:
			t.Filed++
		}
	}
	return t
}

// view is where the quakes of the feed stand.
type view struct {
	Table
	present  int
	finished int
	events   int64    // in their histories
	odd      []string // keys of those that ended elsewhere
}

// look reads the instances of the type and counts those of the feed; there may
// be others, which were started by hand.
func look(ctx context.Context, c *client.Client, keys map[string]bool) (view, error) {
	var v view
	for r := (client.ListRequest{Type: workflowType, Limit: 1000}); ; {
		page, err := c.List(ctx, r)
		if err != nil {
			return v, err
		}
		for _, i := range page.Items {
			if !keys[i.Key] {
				continue
			}
			v.present++
			v.events += i.SequenceNumber
			if !i.State.Finished() {
				continue
			}
			v.finished++
			if len(i.Chart.Active) != 1 || !v.add(i.Chart.Active[0]) {
				v.odd = append(v.odd, i.Key)
			}
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			return v, nil
		}
	}
}

func keysOf(quakes []Quake) map[string]bool {
	keys := make(map[string]bool, len(quakes))
	for _, q := range quakes {
		keys[q.ID] = true
	}
	return keys
}

// results is what a run came to.
type results struct {
	view
	took   time.Duration // from the first start to the last end
	own    bool          // this process started them
	before view          // what was there when we began

	signals, tasks int           // that this process sent and did
	busy           time.Duration // until the last task was done; what follows is waiting for timers
}

// print is for people.
func (r results) print(w io.Writer, want Table) {
	_, _ = fmt.Fprintf(w, "\n%12s %6d   not an earthquake\n%12s %6d   no seismologist reviewed it in time\n%12s %6d   people were notified\n%12s %6d   real and harmless\n\n",
		"dismissed", r.Dismissed, "unreviewed", r.Unreviewed, "alerted", r.Alerted, "filed", r.Filed)
	started := r.present - r.before.present
	if r.own {
		_, _ = fmt.Fprintf(w, "%s started, %s were already there.\n", thousands(started), thousands(r.before.present))
	}
	_, _ = fmt.Fprintf(w, "All %s finished after %.1f s, with %s events in their histories.\n", thousands(r.finished), r.took.Seconds(), thousands(int(r.events)))
	switch commands := started + r.signals + r.tasks; {
	case r.own && started == 0 && r.events == r.before.events:
		_, _ = fmt.Fprintln(w, "Nothing has changed: a business key names one instance, however often it is started.")
	case r.tasks > 0 && r.busy > 0:
		_, _ = fmt.Fprintf(w, "%s commands (starts, signals, task results) in %.1f s: %s a second. The rest was waiting for reviews.\n",
			thousands(commands), r.busy.Seconds(), thousands(int(float64(commands)/r.busy.Seconds())))
	}
	if len(r.odd) > 0 {
		_, _ = fmt.Fprintf(w, "%d ended elsewhere: %s\n", len(r.odd), strings.Join(r.odd[:min(len(r.odd), 10)], ", "))
	}
	if r.Table != want {
		_, _ = fmt.Fprintf(w, "With every review in time it would have been %d, %d, %d and %d: some were late.\n", want.Dismissed, want.Unreviewed, want.Alerted, want.Filed)
	}
}

// printJSON is for programs.
func (r results) printJSON(w io.Writer) error {
	return writeJSON(w, struct {
		Table
		Events  int64   `json:"events"`
		Seconds float64 `json:"seconds"`
	}{r.Table, r.events, float64(r.took.Milliseconds()) / 1000})
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// thousands is 12345 as 12,345.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// next says where to look after a run.
func next(w io.Writer, brokers, api, out string) {
	flags := ""
	if brokers != devleat.UsualKafka {
		flags = " --brokers " + brokers
	}
	if api != "http://"+devleat.UsualHTTP {
		flags += " --api " + api
	}
	_, _ = fmt.Fprintf(w, `
Where to look next:
  bin/leat history quake ci37868143%[1]s
  bin/leat list --type quake --state alerted%[1]s
  curl %[2]s/api/v1/types/quake/counts
  kcat -b %[3]s -t workflow.quake -e -f '%%k %%h\n'
  %[4]s
`, flags, api, brokers, filepath.Join(out, "publish.jsonl"))
}
