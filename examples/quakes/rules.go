package main

// Severity is what classify decides.
type Severity string

// The severities.
const (
	None  Severity = "none"  // not an earthquake
	Minor Severity = "minor" // no one has to be notified
	Major Severity = "major" // people have to be notified
)

// alertMag is the magnitude from which people feel an earthquake as a strong one.
const alertMag = 4.5

// severity says how severe a quake is: by magnitude, by the tsunami flag, or
// because the Survey itself has issued an alert of whatever colour.
func severity(q Quake) Severity {
	switch {
	case q.Type != "earthquake":
		return None
	case q.Mag != nil && *q.Mag >= alertMag, q.Tsunami == 1, q.Alert != nil:
		return Major
	default:
		return Minor
	}
}

// reviewMag is the magnitude from which the desk reviews a quake at once.
const reviewMag = 2.5

// reviewedAtOnce reports whether the desk of this example reviews a quake that
// only machines have seen so far. The others wait until their time is over.
func reviewedAtOnce(q Quake) bool {
	return q.Status == "automatic" && q.Mag != nil && *q.Mag >= reviewMag
}
