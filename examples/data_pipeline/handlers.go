package main

import (
	"fmt"

	"github.com/leat-io/leat/examples/internal/batch"
	"github.com/leat-io/leat/pkg/executor"
)

// handlers are the tasks. Three of them have effects, which they write under the
// task's key: each may run more than once.
var handlers = map[string]batch.Handler{
	"pipeline.clean":     clean,
	"pipeline.aggregate": aggregate,
	"pipeline.merge":     merge,
	"pipeline.warn":      effect,
	"pipeline.archive":   archive,
	"pipeline.publish":   effect,
}

func clean(t executor.Task, _ batch.Book) (any, error) {
	var in window
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	if err := check(in.Quakes); err != nil {
		return nil, batch.Failed("BAD_DATA", err.Error())
	}
	return part{Quakes: len(in.Quakes)}, nil
}

// check finds a quake that is nowhere on Earth.
func check(quakes []quake) error {
	for _, q := range quakes {
		if q.Longitude < -180 || q.Longitude > 180 || q.Latitude < -90 || q.Latitude > 90 {
			return fmt.Errorf("quake %s is at %g, %g", q.ID, q.Longitude, q.Latitude)
		}
	}
	return nil
}

// part is what is known of some of the quakes.
type part struct {
	Quakes    int     `json:"quakes"`
	Strongest float64 `json:"strongest"`
}

func (p part) with(other part) part {
	return part{p.Quakes + other.Quakes, max(p.Strongest, other.Strongest)}
}

// region is the part of the world where a quake is, roughly: the three share all
// quakes between them.
func region(q quake) string {
	switch {
	case q.Longitude < -30 && q.Longitude >= -150:
		return "americas"
	case q.Longitude < -150 || q.Longitude > 100:
		return "pacific"
	default:
		return "elsewhere"
	}
}

func aggregate(t executor.Task, _ batch.Book) (any, error) {
	var in struct {
		Region string
		Quakes []quake
	}
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	return summary(in.Quakes, in.Region), nil
}

// summary is what is known of the quakes of a region.
func summary(quakes []quake, of string) part {
	var p part
	for _, q := range quakes {
		if region(q) != of {
			continue
		}
		one := part{Quakes: 1}
		if q.Mag != nil {
			one.Strongest = *q.Mag
		}
		p = p.with(one)
	}
	return p
}

func merge(t executor.Task, _ batch.Book) (any, error) {
	var in struct{ Parts []part }
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	var all part
	for _, p := range in.Parts {
		all = all.with(p)
	}
	return all, nil
}

func archive(t executor.Task, b batch.Book) (any, error) {
	var in window
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	stored := struct {
		File   string `json:"file"`
		Quakes int    `json:"quakes"`
	}{t.InstanceKey + ".json", len(in.Quakes)}
	return stored, b.Write(t, stored)
}

// effect stands for a mail or a web page: it tells the world its input.
func effect(t executor.Task, b batch.Book) (any, error) {
	var in map[string]any
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	return nil, b.Write(t, in)
}
