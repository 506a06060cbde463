package avro

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/avro"

	"github.com/leat-io/leat/schemas"
)

// headerSize is that of the marker and the fingerprint.
const headerSize = 10

// writer is one schema that records were written with.
type writer struct {
	record      string // "event"
	text        string
	fingerprint uint64
	schema      *avro.Schema
	resolved    *avro.Schema // reads what schema wrote as the current one; nil for the current one
}

// registry knows every writer's schema: the current one of each record, and
// those that were released before it.
type registry struct {
	current map[string]*writer
	all     map[uint64]*writer
}

// loaded is the registry of the embedded schemas, made when first needed.
var loaded = sync.OnceValue(func() *registry {
	r, err := loadRegistry(schemas.Files)
	if err != nil {
		panic("internal/avro: " + err.Error()) // embedded files, so every test run would have met it
	}
	return r
})

// loadRegistry reads <record>.avsc and old/<record>-<n>.avsc.
func loadRegistry(files fs.FS) (*registry, error) {
	r := &registry{current: map[string]*writer{}, all: map[uint64]*writer{}}
	for _, pattern := range []string{"*.avsc", "old/*.avsc"} {
		names, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				return nil, err
			}
			if err := r.add(name, string(text)); err != nil {
				return nil, fmt.Errorf("schema %s: %w", name, err)
			}
		}
	}
	return r, nil
}

func (r *registry) add(name, text string) error {
	schema, err := avro.Parse(text)
	if err != nil {
		return err
	}
	record := strings.TrimSuffix(path.Base(name), ".avsc")
	w := &writer{record: record, text: text, schema: schema}
	if path.Dir(name) == "old" {
		w.record, _, _ = strings.Cut(record, "-")
		now := r.current[w.record]
		if now == nil {
			return fmt.Errorf("there is no schema %s.avsc today", w.record)
		}
		if w.resolved, err = avro.Resolve(schema, now.schema); err != nil {
			return err
		}
	}
	rabin := avro.NewRabin()
	rabin.Write(schema.Canonical())
	w.fingerprint = rabin.Sum64()
	if other := r.all[w.fingerprint]; other != nil {
		return fmt.Errorf("has the fingerprint of %s", other.record)
	}
	r.all[w.fingerprint] = w
	if w.resolved == nil {
		r.current[record] = w
	}
	return nil
}

// body is the body of record in single, as its current schema writes it.
func (r *registry) body(record string, single []byte) ([]byte, error) {
	w, body, err := r.split(single)
	switch {
	case err != nil:
		return nil, err
	case w == nil || w.record != record:
		return nil, r.mismatch(record, single, w)
	}
	return w.upgrade(body, r.current[record])
}

var marker = []byte{0xC3, 0x01}

// split takes the header off single and finds the schema that wrote it, nil
// when that is unknown.
func (r *registry) split(single []byte) (*writer, []byte, error) {
	n := min(len(single), len(marker))
	switch {
	case !bytes.Equal(single[:n], marker[:n]):
		return nil, nil, ErrNotAvro
	case len(single) < headerSize:
		return nil, nil, fmt.Errorf("%w, in the header", ErrTruncated)
	}
	return r.all[binary.LittleEndian.Uint64(single[len(marker):])], single[headerSize:], nil
}

// mismatch is the error for a record written with another record's schema, or
// with an unknown one.
func (r *registry) mismatch(record string, single []byte, is *writer) error {
	e := &FingerprintError{Record: record, Got: binary.LittleEndian.Uint64(single[len(marker):])}
	if is != nil {
		e.Of = is.record
	}
	for _, w := range r.all {
		if record == "" || w.record == record {
			e.Known = append(e.Known, w.fingerprint)
		}
	}
	slices.Sort(e.Known)
	return e
}

// upgrade rewrites body with the current schema, if an older one wrote it.
func (w *writer) upgrade(body []byte, now *writer) ([]byte, error) {
	if w.resolved == nil {
		return body, nil
	}
	var native any
	rest, err := w.resolved.Decode(body, &native)
	if err != nil {
		return nil, fmt.Errorf("resolve %s %016x: %w", w.record, w.fingerprint, err)
	}
	if len(rest) > 0 {
		return nil, ErrTrailing
	}
	upgraded, err := now.schema.Encode(native)
	if err != nil {
		return nil, fmt.Errorf("resolve %s %016x: %w", w.record, w.fingerprint, err)
	}
	return upgraded, nil
}
