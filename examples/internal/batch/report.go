package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/leat-io/leat/examples/internal/devleat"
	"github.com/leat-io/leat/examples/internal/ledger"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// look reads where the instances stand. There may be others of the type, which
// were started by hand.
func (b *Batch) look(ctx context.Context, c *client.Client, instances []Instance) (stand, error) {
	s := stand{ends: map[string]int{}, states: map[events.WorkflowState]int{}}
	want := make(map[string]string, len(instances))
	for i := range instances {
		want[instances[i].Key] = instances[i].End
	}
	for r := (client.ListRequest{Type: b.Name, Limit: 1000}); ; {
		page, err := c.List(ctx, r)
		if err != nil {
			return s, err
		}
		for i := range page.Items {
			end, ours := want[page.Items[i].Key]
			if ours {
				s.add(&page.Items[i], end)
			}
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			return s, nil
		}
	}
}

// add counts one instance that must end in the state end.
func (s *stand) add(i *client.Instance, end string) {
	s.present++
	s.events += i.SequenceNumber
	if !i.State.Finished() {
		return
	}
	s.finished++
	s.states[i.State]++
	at := strings.Join(i.Chart.Active, ",")
	s.ends[at]++
	if at != end {
		s.odd = append(s.odd, i.Key)
	}
}

// results is what a run came to.
type results struct {
	stand
	before    stand // what was there when we began
	instances int
	effects   string // the file
	took      time.Duration
}

// err says when an instance has ended where it must not.
func (r *results) err() error {
	if len(r.odd) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d did not end where their input leads: %s", len(r.odd), r.finished, strings.Join(r.odd[:min(len(r.odd), 10)], ", "))
}

// print is for people.
func (r *results) print(w io.Writer, b *Batch, o options) {
	_, _ = fmt.Fprintln(w)
	for _, end := range b.Ends {
		_, _ = fmt.Fprintf(w, "%16s %5d   %s\n", end.State, r.ends[end.State], end.Meaning)
	}
	_, _ = fmt.Fprintf(w, "\n%d started, %d were already there. All %d finished after %.1f s, with %d events in their histories.\n",
		r.present-r.before.present, r.before.present, r.finished, r.took.Seconds(), r.events)
	if r.before.finished == r.instances && r.events == r.before.events {
		_, _ = fmt.Fprintln(w, "Nothing has changed: a business key names one instance, however often it is started.")
	}
	flags := " --brokers " + o.brokers
	if o.api != "" {
		flags += " --api " + o.api
	}
	if o.brokers == devleat.UsualKafka && o.api == "http://"+devleat.UsualHTTP {
		flags = ""
	}
	_, _ = fmt.Fprintf(w, "\nWhere to look next:\n  %s\n", r.effects)
	if !o.stay && flags == "" {
		_, _ = fmt.Fprintf(w, "  leat dev --data %s &\n", o.data)
	}
	_, _ = fmt.Fprintf(w, "  leat list --type %[1]s%[2]s\n  leat history %[1]s KEY%[2]s\n", b.Name, flags)
}

// printJSON is for programs.
func (r *results) printJSON(w io.Writer, b *Batch) error {
	keys, err := ledger.Keys(r.effects)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		Example   string                       `json:"example"`
		Instances int                          `json:"instances"`
		Ends      map[string]int               `json:"ends"`
		States    map[events.WorkflowState]int `json:"workflow_states"`
		Odd       int                          `json:"ended_elsewhere"`
		Effects   int                          `json:"effects"`
		Events    int64                        `json:"events"`
		Seconds   float64                      `json:"seconds"`
	}{b.Name, r.instances, r.ends, r.states, len(r.odd), len(keys), r.events, float64(r.took.Milliseconds()) / 1000})
}
