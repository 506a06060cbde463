package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/examples/internal/ledger"
	"github.com/leat-io/leat/pkg/executor"
)

// desk does the tasks of the workflow. It keeps its notifications in
// three files, as a stand-in for mail, a map server and a web page.
type desk struct {
	dir                  string
	notices, maps, pages *ledger.Ledger
}

func openDesk(dir string) (*desk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	d := desk{dir: dir}
	for name, to := range map[string]**ledger.Ledger{"notify": &d.notices, "map": &d.maps, "publish": &d.pages} {
		l, err := ledger.Open(filepath.Join(dir, name+".jsonl"))
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		*to = l
	}
	return &d, nil
}

// Close closes the files.
func (d *desk) Close() error {
	var errs []error
	for _, l := range []*ledger.Ledger{d.notices, d.maps, d.pages} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// handle gives w the tasks. Every one may run more than once.
func (d *desk) handle(w *executor.Executor) {
	executor.Handle(w, "quakes.classify", classify)
	executor.Handle(w, "quakes.notify", d.notify)
	executor.Handle(w, "quakes.map", d.draw)
	executor.Handle(w, "quakes.publish", d.publish)
}

// program does one task of a process of its own.
type program func(t executor.Task) (any, error)

// programs are the tasks for executors that run programs.
func (d *desk) programs() map[string]program {
	return map[string]program{
		"quakes.classify": typed(classify),
		"quakes.notify":   typed(d.notify),
		"quakes.map":      typed(d.draw),
		"quakes.publish":  typed(d.publish),
	}
}

func typed[In, Out any](do func(ctx context.Context, in In) (Out, error)) program {
	return func(t executor.Task) (any, error) {
		var in In
		if err := t.Decode(&in); err != nil {
			return nil, err
		}
		return do(executor.WithTask(context.Background(), t), in)
	}
}

type classified struct {
	Severity Severity `json:"severity"`
}

func classify(_ context.Context, q Quake) (classified, error) { return classified{severity(q)}, nil }

type notice struct {
	Key    string `json:"task_key"`
	Quake  string `json:"quake"`
	Notice string `json:"notice"`
}

// notify tells the people on duty.
func (d *desk) notify(ctx context.Context, q Quake) (notice, error) {
	key := executor.TaskFrom(ctx).IdempotencyKey
	n := notice{key, q.ID, headline(q)}
	_, err := d.notices.Add(key, n)
	return n, err
}

type tile struct {
	Key   string `json:"task_key"`
	Quake string `json:"quake"`
	Tile  string `json:"tile"` // zoom/x/y, as map servers name their tiles
}

// draw puts the quake on the map.
func (d *desk) draw(ctx context.Context, q Quake) (tile, error) {
	key := executor.TaskFrom(ctx).IdempotencyKey
	t := tile{key, q.ID, tileAt(q.Longitude, q.Latitude)}
	_, err := d.maps.Add(key, t)
	return t, err
}

type page struct {
	Key    string `json:"task_key"`
	Quake  string `json:"quake"`
	Notice string `json:"notice"`
	Tile   string `json:"tile"`
}

type news struct{ ID, Notice, Tile string }

// publish puts notice and map on one page.
func (d *desk) publish(ctx context.Context, in news) (page, error) {
	key := executor.TaskFrom(ctx).IdempotencyKey
	p := page{key, in.ID, in.Notice, in.Tile}
	_, err := d.pages.Add(key, p)
	return p, err
}

// headline is one line such as "M 4.7, 97km NW of Lae, Papua New Guinea,
// 2018-02-06 19:18 UTC, tsunami possible, green alert".
func headline(q Quake) string {
	parts := make([]string, 0, 5)
	if q.Mag != nil {
		parts = append(parts, "M "+strconv.FormatFloat(*q.Mag, 'f', 1, 64))
	}
	if q.Place != nil {
		parts = append(parts, *q.Place)
	}
	if q.Time != 0 {
		parts = append(parts, time.UnixMilli(q.Time).UTC().Format("2006-01-02 15:04 MST"))
	}
	if q.Tsunami == 1 {
		parts = append(parts, "tsunami possible")
	}
	if q.Alert != nil {
		parts = append(parts, cmp.Or(*q.Alert, "unnamed")+" alert")
	}
	return strings.Join(parts, ", ")
}

// tileAt is the tile of a web map at zoom 6: Mercator, 64 by 64 tiles.
func tileAt(longitude, latitude float64) string {
	const zoom, n = 6, 1 << 6
	lat := min(max(latitude, -85), 85) * math.Pi / 180
	x := int((longitude + 180) / 360 * n)
	y := int((1 - math.Asinh(math.Tan(lat))/math.Pi) / 2 * n)
	return fmt.Sprintf("%d/%d/%d", zoom, min(max(x, 0), n-1), min(max(y, 0), n-1))
}
