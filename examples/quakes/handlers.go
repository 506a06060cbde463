package main

import (
	"cmp"
	"context"
	"encoding/json"
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

// handler does one task: key names it whatever the attempt.
type handler func(key string, input json.RawMessage) (any, error)

// handlers are the tasks by name. Every one may run more than once.
func (d *desk) handlers() map[string]handler {
	return map[string]handler{
		"quakes.classify": typed(classify),
		"quakes.notify":   typed(d.notify),
		"quakes.map":      typed(d.draw),
		"quakes.publish":  typed(d.publish),
	}
}

// handleOn makes e do the tasks.
func (d *desk) handleOn(e *executor.Executor) {
	for name, h := range d.handlers() {
		e.Handle(name, func(_ context.Context, t executor.Task) (executor.Result, error) {
			return h(t.IdempotencyKey, t.Input)
		})
	}
}

func typed[In, Out any](do func(key string, in In) (Out, error)) handler {
	return func(key string, input json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, executor.Fail("BAD_INPUT", err.Error(), false) // it never gets better
		}
		return do(key, in)
	}
}

type classified struct {
	Severity Severity `json:"severity"`
}

func classify(_ string, q Quake) (classified, error) { return classified{severity(q)}, nil }

type notice struct {
	Key    string `json:"task_key"`
	Quake  string `json:"quake"`
	Notice string `json:"notice"`
}

// notify tells the people on duty.
func (d *desk) notify(key string, q Quake) (notice, error) {
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
func (d *desk) draw(key string, q Quake) (tile, error) {
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

// publish puts notice and map on one page.
func (d *desk) publish(key string, in struct{ ID, Notice, Tile string }) (page, error) {
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
