package views

import (
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/projector/logtest"
	"github.com/leat-io/leat/pkg/events"
)

// A page ends by bytes before it ends by count, loses nothing, and a single item
// may be as large as an item can be.
func TestPagesEndByBytes(t *testing.T) {
	const items, size = 12, 900 << 10
	big := events.String(strings.Repeat("x", size))
	state, history := logtest.Log{Topic: logtest.Names.State("order")}, logtest.Log{Topic: logtest.Names.Events("order")}
	for n := range items {
		state.Snapshot(logtest.Snapshot("order", logtest.ID(n), 1, func(s *events.Snapshot) {
			s.Chart.Data = map[string]events.ContextValue{"big": big}
		}))
		e := logtest.Event("order", logtest.ID(0), int64(n+1))
		e.Data = map[string]events.ContextValue{"big": big}
		history.Event(e)
	}
	db := memory(t)
	foldAll(t, db, append(state.Records, history.Records...))

	seen, pages, cursor := 0, 0, ""
	for pages == 0 || cursor != "" {
		page, next, err := List(db, Filter{Type: "order", Limit: 1000, Cursor: cursor})
		if err != nil || len(page) == 0 || len(page)*size > pageBytes+size {
			t.Fatalf("page %d of instances has %d items, %v", pages, len(page), err)
		}
		seen, pages, cursor = seen+len(page), pages+1, next
	}
	if seen != items || pages < items*size/(pageBytes+size) {
		t.Errorf("%d instances on %d pages", seen, pages)
	}
	for next := int64(1); next <= items; {
		facts, err := HistoryOf(db, "order", logtest.ID(0), next, 1000)
		if err != nil || len(facts) == 0 || len(facts)*size > pageBytes+size || facts[0].SequenceNumber != next {
			t.Fatalf("from %d there are %d events, %v", next, len(facts), err)
		}
		next += int64(len(facts))
	}
}

// What counts is what is sent: a control character is six characters of JSON.
func TestPagesEndByBytesOfTheAnswer(t *testing.T) {
	const items, size = 12, 200 << 10
	big := events.String(strings.Repeat("\x01", size))
	state, history := logtest.Log{Topic: logtest.Names.State("order")}, logtest.Log{Topic: logtest.Names.Events("order")}
	for n := range items {
		state.Snapshot(logtest.Snapshot("order", logtest.ID(n), 1, func(s *events.Snapshot) {
			s.Chart.Data = map[string]events.ContextValue{"big": big}
		}))
		e := logtest.Event("order", logtest.ID(0), int64(n+1))
		e.Data = map[string]events.ContextValue{"big": big}
		history.Event(e)
	}
	db := memory(t)
	foldAll(t, db, append(state.Records, history.Records...))
	page, next, err := List(db, Filter{Type: "order", Limit: 1000})
	if most := pageBytes/(6*size) + 1; err != nil || len(page) == 0 || len(page) > most || next == "" {
		t.Errorf("%d instances on a page, at most %d; %v", len(page), most, err)
	}
	facts, err := HistoryOf(db, "order", logtest.ID(0), 1, 1000)
	if most := pageBytes/(6*size) + 1; err != nil || len(facts) == 0 || len(facts) > most {
		t.Errorf("%d events on a page, at most %d; %v", len(facts), most, err)
	}
}
