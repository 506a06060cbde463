// Package data is a week of real earthquakes; README.md says where it is from.
package data

import _ "embed"

// AllWeek is the GeoJSON document of the U.S. Geological Survey.
//
//go:embed all_week.geojson
var AllWeek []byte
