package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/examples/internal/batch"
	"github.com/leat-io/leat/examples/quakes/data"
)

// quake is what the pipeline uses of a feature of the feed.
type quake struct {
	ID        string   `json:"id"`
	Longitude float64  `json:"longitude"`
	Latitude  float64  `json:"latitude"`
	Mag       *float64 `json:"mag"`

	at int64 // milliseconds since 1970 UTC
}

// window is what an instance starts with.
type window struct {
	Window string  `json:"window"`
	Quakes []quake `json:"quakes"`
}

// end is where a window must end. Only its input decides.
func (w window) end() string {
	switch {
	case len(w.Quakes) == 0:
		return "empty"
	case check(w.Quakes) != nil:
		return "rejected"
	default:
		return "published"
	}
}

// windows cuts the week into n pieces: the first is before the week, so it is
// empty, and the last repeats the one before it with a quake that is nowhere.
func windows(n int) ([]batch.Instance, error) {
	quakes, err := readFeed(data.AllWeek)
	if err != nil {
		return nil, err
	}
	if n < 3 {
		return nil, errors.New("the example needs at least 3 windows")
	}
	const week = 7 * 24 * time.Hour
	newest := int64(0)
	for _, q := range quakes {
		newest = max(newest, q.at)
	}
	begin := time.UnixMilli(newest).UTC().Add(time.Millisecond - week)
	span := week / time.Duration(n-2)
	cut := make([]window, n)
	for i := range cut {
		from := begin.Add(time.Duration(i-1) * span)
		cut[i] = window{Window: from.Format("2006-01-02T15:04:05Z") + "/" + span.Round(time.Second).String(), Quakes: []quake{}}
	}
	for _, q := range quakes {
		i := max(int(time.UnixMilli(q.at).Sub(begin)/span), 0)
		w := &cut[1+min(i, n-3)]
		w.Quakes = append(w.Quakes, q)
	}
	cut[n-1].Quakes = slices.Concat(cut[n-2].Quakes, []quake{{ID: "nowhere", Longitude: 999}})
	out := make([]batch.Instance, n)
	for i, w := range cut {
		input, err := json.Marshal(w)
		if err != nil {
			return nil, err
		}
		out[i] = batch.Instance{Key: fmt.Sprintf("window-%03d-of-%d", i, n), Input: input, End: w.end()}
	}
	return out, nil
}

// readFeed reads a GeoJSON document of the U.S. Geological Survey.
func readFeed(text []byte) ([]quake, error) {
	var feed struct {
		Features []struct {
			ID         string
			Properties struct {
				Mag  *float64
				Time int64
			}
			Geometry struct{ Coordinates []float64 }
		}
	}
	if err := json.Unmarshal(text, &feed); err != nil {
		return nil, fmt.Errorf("read the feed: %w", err)
	}
	out := make([]quake, 0, len(feed.Features))
	for _, f := range feed.Features {
		at := f.Geometry.Coordinates
		if len(at) < 2 {
			return nil, fmt.Errorf("quake %s has no place", f.ID)
		}
		out = append(out, quake{f.ID, at[0], at[1], f.Properties.Mag, f.Properties.Time})
	}
	return out, nil
}
