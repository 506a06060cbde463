package main

import (
	"context"
	"fmt"

	"github.com/leat-io/leat/examples/internal/batch"
	"github.com/leat-io/leat/pkg/executor"
)

// handle gives w the tasks. Three of them have effects, which they write under the
// task's key: each may run more than once.
func handle(w *executor.Executor, b batch.Book) {
	d := desk{b}
	executor.Handle(w, "pipeline.clean", clean)
	executor.Handle(w, "pipeline.aggregate", aggregate)
	executor.Handle(w, "pipeline.merge", merge)
	executor.Handle(w, "pipeline.warn", d.effect)
	executor.Handle(w, "pipeline.archive", d.archive)
	executor.Handle(w, "pipeline.publish", d.effect)
}

// desk does the tasks that have effects.
type desk struct{ book batch.Book }

func clean(_ context.Context, in window) (part, error) {
	if err := check(in.Quakes); err != nil {
		return part{}, batch.Failed("BAD_DATA", err.Error())
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

type share struct {
	Region string
	Quakes []quake
}

func aggregate(_ context.Context, in share) (part, error) { return summary(in.Quakes, in.Region), nil }

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

type parts struct{ Parts []part }

func merge(_ context.Context, in parts) (part, error) {
	var all part
	for _, p := range in.Parts {
		all = all.with(p)
	}
	return all, nil
}

type stored struct {
	File   string `json:"file"`
	Quakes int    `json:"quakes"`
}

func (d desk) archive(ctx context.Context, in window) (stored, error) {
	s := stored{executor.TaskFrom(ctx).InstanceKey + ".json", len(in.Quakes)}
	return s, d.book.Write(ctx, s)
}

// effect stands for a mail or a web page: it tells the world its input.
func (d desk) effect(ctx context.Context, in map[string]any) (any, error) {
	return nil, d.book.Write(ctx, in)
}
