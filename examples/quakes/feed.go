package main

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/leat-io/leat/examples/quakes/data"
)

// feedText is a week of earthquakes.
var feedText = data.AllWeek

//go:embed quake.yaml
var source []byte

// Quake is what an instance starts with: the parts of a feature of the feed that
// the workflow uses. What is null in the feed stays null.
type Quake struct {
	ID           string   `json:"id"` // also the business key
	Type         string   `json:"type"`
	Status       string   `json:"status"`
	Mag          *float64 `json:"mag"`
	Place        *string  `json:"place"`
	Time         int64    `json:"time"` // milliseconds since 1970 UTC
	Tsunami      int      `json:"tsunami"`
	Alert        *string  `json:"alert"`
	Longitude    float64  `json:"longitude"`
	Latitude     float64  `json:"latitude"`
	DepthKM      *float64 `json:"depth_km"`
	ReviewWithin string   `json:"review_within,omitempty"` // how long the desk may take
}

// readFeed reads a GeoJSON document of the U.S. Geological Survey.
func readFeed(text []byte) ([]Quake, error) {
	var feed struct {
		Features []struct {
			ID         string `json:"id"`
			Properties Quake  `json:"properties"`
			Geometry   struct {
				Coordinates []*float64 `json:"coordinates"`
			} `json:"geometry"`
		} `json:"features"`
	}
	if err := json.Unmarshal(text, &feed); err != nil {
		return nil, fmt.Errorf("read the feed: %w", err)
	}
	quakes := make([]Quake, 0, len(feed.Features))
	for _, f := range feed.Features {
		q := f.Properties
		q.ID = f.ID
		if at := f.Geometry.Coordinates; len(at) == 3 && at[0] != nil && at[1] != nil {
			q.Longitude, q.Latitude, q.DepthKM = *at[0], *at[1], at[2]
		}
		quakes = append(quakes, q)
	}
	return quakes, nil
}
