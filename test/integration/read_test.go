package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// An answer reflects what the caller has written, if it says what that was.
func TestReadYourWrites(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		url, p := w.projector()
		w.until(p.Ready)
		api := w.client(url)
		d := w.do(client.StartRequest{Type: "door", Key: "k"})
		for n := range 20 {
			i, err := api.Get(w.ctx, "door", "k", client.GetOptions{MinSequence: d.Sequence()})
			if err != nil || i.SequenceNumber < d.Sequence() || i.Chart.Data["n"].Int() != int64(n) {
				w.Fatalf("after %d knocks: %+v, %v", n, i.Chart.Data, err)
			}
			d = w.do(client.SignalRequest{Type: "door", Key: "k", Event: "knock"})
		}
		var problem struct{ Code, Title, Detail string }
		if status := w.get(url+"/api/v1/instances/door/k?min_sequence=999&wait=50ms", &problem); status != http.StatusGatewayTimeout || problem.Code != "LEAT-X001" {
			w.Errorf("%d %+v", status, problem)
		}
		var page struct {
			Items    []events.Event `json:"items"`
			Sequence int64          `json:"sequence_number"`
		}
		w.get(fmt.Sprintf("%s/api/v1/instances/door/k/history?min_sequence=%d", url, d.Sequence()), &page)
		if page.Sequence < d.Sequence() || int64(len(page.Items)) != page.Sequence {
			w.Errorf("%d items up to %d, want %d", len(page.Items), page.Sequence, d.Sequence())
		}
		w.audit()
	})
}

// A follower sees every event once, in order, from before it came to the end.
func TestFollowersSeeEverythingInOrder(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.router("r1")
		url, p := w.projector()
		w.until(p.Ready)
		api := w.client(url)
		d := w.do(client.StartRequest{Type: "door", Key: "k"})
		if _, err := api.Get(w.ctx, "door", "k", client.GetOptions{MinSequence: d.Sequence()}); err != nil {
			w.Fatal(err)
		}
		var all sync.WaitGroup
		seen := make([][]int64, 3)
		all.Go(func() { seen[0] = w.stream(url + "/api/v1/instances/door/k/history/stream") })
		for i, c := range []*client.Client{api, w.direct} {
			all.Go(func() {
				for e, err := range c.Follow(w.ctx, "door", "k", 1) {
					if err != nil {
						w.Error(err)
						return
					}
					seen[i+1] = append(seen[i+1], e.SequenceNumber)
				}
			})
		}
		for range 150 { // more than one page of a follower
			if _, err := w.direct.Signal(w.ctx, client.SignalRequest{Type: "door", Key: "k", Event: "knock"}); err != nil {
				w.Fatal(err)
			}
		}
		last := w.do(client.SignalRequest{Type: "door", Key: "k", Event: "shut"})
		all.Wait()
		for i, list := range seen {
			for n, sequence := range list {
				if sequence != int64(n+1) {
					w.Fatalf("follower %d saw %d as number %d", i, sequence, n+1)
				}
			}
			if int64(len(list)) != last.Sequence() {
				w.Errorf("follower %d saw %d of %d events", i, len(list), last.Sequence())
			}
		}
		w.audit(finished(1))
	})
}

// stream reads server-sent events to the end of the instance.
func (w *world) stream(url string) (seen []int64) {
	r, err := http.NewRequestWithContext(w.ctx, http.MethodGet, url, nil)
	if err != nil {
		w.Error(err)
		return nil
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		w.Error(err)
		return nil
	}
	defer answer.Body.Close()
	ended := false
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "event: end":
			ended = true
		case strings.HasPrefix(line, "event: error"):
			w.Error("the stream ended in an error")
		case strings.HasPrefix(line, "data: ") && !ended:
			var e events.Event
			if err := json.Unmarshal([]byte(line[len("data: "):]), &e); err != nil {
				w.Errorf("%q: %v", line, err)
			}
			seen = append(seen, e.SequenceNumber)
		}
	}
	if !ended {
		w.Error("the stream did not say that it ended")
	}
	return seen
}

const sorted = `
leat: v1
type: sorted
version: 1
initial: sorting
states:
  sorting:
    always:
      - {guard: "int(input.n) % 2 == 0", target: even}
      - {target: odd}
  even: {on: {close: closed}}
  odd: {on: {close: closed}}
  closed: {type: final}
`

func TestListsFilterAndPage(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(sorted)
		w.router("r1")
		url, p := w.projector()
		api := w.client(url)
		const n, closed = 300, 50
		var all sync.WaitGroup
		ask := func(r client.Request) {
			all.Add(1)
			w.direct.Go(w.ctx, r, func(_ client.Receipt, err error) {
				defer all.Done()
				if err != nil {
					w.Error(err)
				}
			})
		}
		for i := range n {
			key := fmt.Sprintf("k%03d", i)
			ask(client.StartRequest{Type: "sorted", Key: key, Input: map[string]int{"n": i}})
			if i%2 == 0 && i < 2*closed {
				ask(client.SignalRequest{Type: "sorted", Key: key, Event: "close"})
			}
		}
		all.Wait()
		w.audit(finished(closed))
		w.until(p.Ready)
		w.until(func() error {
			c, err := api.Counts(w.ctx, "sorted")
			if err == nil && (c.Instances < n || c.Workflow[events.WorkflowCompleted] < closed) {
				err = fmt.Errorf("%+v", c)
			}
			return err
		})
		for _, tt := range []struct {
			filter client.ListRequest
			want   int
		}{
			{client.ListRequest{}, n},
			{client.ListRequest{State: "even"}, n/2 - closed},
			{client.ListRequest{State: "odd"}, n / 2},
			{client.ListRequest{WorkflowState: events.WorkflowCompleted}, closed},
			{client.ListRequest{WorkflowState: events.WorkflowRunning, State: "odd"}, n / 2},
			{client.ListRequest{WorkflowState: events.WorkflowFailed}, 0},
		} {
			tt.filter.Type = "sorted"
			tt.filter.Limit = 37
			w.pages("projector", api, tt.filter, tt.want)
			tt.filter.Limit = 100 // each page reads them all
			w.pages("topics", w.direct, tt.filter, tt.want)
		}
	})
}

// pages reads a list to its end: each instance once, the newest first.
func (w *world) pages(name string, c *client.Client, r client.ListRequest, want int) {
	w.Helper()
	seen := make(map[string]bool)
	var before events.Snapshot
	for range 20 {
		page, err := c.List(w.ctx, r)
		if err != nil {
			w.Fatal(err)
		}
		if len(page.Items) > r.Limit {
			w.Errorf("%s: %+v: a page of %d", name, r, len(page.Items))
		}
		for _, i := range page.Items {
			if seen[i.Key] {
				w.Errorf("%s: %+v: %s comes twice", name, r, i.Key)
			}
			if before.Key != "" && i.CreatedAt.After(before.CreatedAt) {
				w.Errorf("%s: %+v: %s of %s follows %s of %s", name, r, i.Key, i.CreatedAt, before.Key, before.CreatedAt)
			}
			seen[i.Key], before = true, i
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			break
		}
	}
	if len(seen) != want || r.Cursor != "" {
		w.Errorf("%s: %+v lists %d, want %d", name, r, len(seen), want)
	}
}
