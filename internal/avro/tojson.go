package avro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/linkedin/goavro/v2"

	"github.com/leat-io/leat/pkg/events"
)

// readers are goavro's codecs by fingerprint: they are made for tools, one when
// it is first needed.
var readers sync.Map

// ToJSON gives the JSON text of any record in single-object encoding, and the
// name of its schema, such as "event". It is for tools that show what is on a
// topic: it validates nothing, and the text cannot be turned back into the
// record, because unions are written without the name of their branch.
func ToJSON(single []byte) (schemaName string, text []byte, err error) {
	r := loaded()
	w, body, err := r.split(single)
	switch {
	case err != nil:
		return "", nil, err
	case w == nil:
		return "", nil, r.mismatch("", single, nil)
	}
	codec, err := w.goavro()
	if err != nil {
		return w.record, nil, err
	}
	native, rest, err := codec.NativeFromBinary(body)
	switch {
	case err != nil:
		return w.record, nil, fmt.Errorf("read %s: %w", w.record, err)
	case len(rest) > 0:
		return w.record, nil, fmt.Errorf("read %s: %w: %d", w.record, ErrTrailing, len(rest))
	}
	text, err = codec.TextualFromNative(nil, native)
	if err == nil {
		text, err = sortKeys(text)
	}
	if err != nil {
		return w.record, nil, fmt.Errorf("write %s as JSON: %w", w.record, err)
	}
	return w.record, text, nil
}

// sortKeys puts the fields in the order of their names; goavro leaves them in
// that of a Go map, which is another one every time.
func sortKeys(text []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return events.EncodeJSON(v)
}

func (w *writer) goavro() (*goavro.Codec, error) {
	if made, ok := readers.Load(w.fingerprint); ok {
		return made.(*goavro.Codec), nil
	}
	codec, err := goavro.NewCodecForStandardJSONFull(w.text)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", w.record, err)
	}
	readers.Store(w.fingerprint, codec)
	return codec, nil
}
