package main

import (
	"encoding/json"
	"testing"
)

func TestSeverity(t *testing.T) {
	quake := func(change func(*Quake)) Quake {
		q := Quake{Type: "earthquake", Status: "reviewed", Mag: new(2.0)}
		change(&q)
		return q
	}
	for name, c := range map[string]struct {
		q    Quake
		want Severity
	}{
		"small":                      {quake(func(*Quake) {}), Minor},
		"just below":                 {quake(func(q *Quake) { q.Mag = new(4.49) }), Minor},
		"strong":                     {quake(func(q *Quake) { q.Mag = new(4.5) }), Major},
		"small with a tsunami":       {quake(func(q *Quake) { q.Tsunami = 1 }), Major},
		"small with a green alert":   {quake(func(q *Quake) { q.Alert = new("green") }), Major},
		"small with a nameless one":  {quake(func(q *Quake) { q.Alert = new("") }), Major},
		"below zero":                 {quake(func(q *Quake) { q.Mag = new(-0.6) }), Minor},
		"without magnitude":          {quake(func(q *Quake) { q.Mag = nil }), Minor},
		"a tsunami, no magnitude":    {quake(func(q *Quake) { q.Mag, q.Tsunami = nil, 1 }), Major},
		"a strong explosion":         {quake(func(q *Quake) { q.Type, q.Mag = "explosion", new(6.0) }), None},
		"a quarry blast, with alert": {quake(func(q *Quake) { q.Type, q.Alert = "quarry blast", new("red") }), None},
		"no type":                    {quake(func(q *Quake) { q.Type = "" }), None},
		"automatic makes no odds":    {quake(func(q *Quake) { q.Status, q.Mag = "automatic", new(7.0) }), Major},
	} {
		if got := severity(c.q); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestReviewedAtOnce(t *testing.T) {
	for _, c := range []struct {
		status string
		mag    *float64
		want   bool
	}{
		{"automatic", new(2.5), true},
		{"automatic", new(2.49), false},
		{"automatic", nil, false},
		{"reviewed", new(6.0), false},
	} {
		if got := reviewedAtOnce(Quake{Status: c.status, Mag: c.mag}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// The table that the example must end with, from the raw data and the rules
// alone: neither the types nor the functions of the example take part.
func TestExpectedTable(t *testing.T) {
	var feed struct {
		Features []struct {
			ID         string
			Properties map[string]any
		}
	}
	if err := json.Unmarshal(feedText, &feed); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	got := Table{}
	for _, f := range feed.Features {
		ids[f.ID] = true
		p := f.Properties
		mag := p["mag"].(float64)
		switch {
		case p["type"] != "earthquake":
			got.Dismissed++
		case p["status"] == "automatic" && mag < 2.5:
			got.Unreviewed++
		case mag >= 4.5 || p["tsunami"] == 1.0 || p["alert"] != nil:
			got.Alerted++
		default:
			got.Filed++
		}
	}
	if len(ids) != 1707 {
		t.Errorf("%d quakes, want 1707", len(ids))
	}
	if want := (Table{Dismissed: 28, Unreviewed: 456, Alerted: 88, Filed: 1135}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What the example reads of the feed leads to the same table.
func TestFeedLeadsToTheSameTable(t *testing.T) {
	quakes, err := readFeed(feedText)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := expected(quakes), (Table{Dismissed: 28, Unreviewed: 456, Alerted: 88, Filed: 1135}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if q := quakes[0]; q.ID != "ci37868143" || *q.Mag != 2 || q.Longitude != -118.6671667 || q.Latitude != 34.4945 || *q.DepthKM != 26.49 || q.Alert != nil {
		t.Errorf("the first quake is %+v", q)
	}
}

func TestReadFeedRefusesWhatIsNoFeed(t *testing.T) {
	if _, err := readFeed([]byte(`{"features":[{"id":3}]}`)); err == nil {
		t.Error("no error")
	}
}
