package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// jsonReader reads JSON and knows where it is.
type jsonReader struct {
	src       []byte
	decoder   *json.Decoder
	offset    int // up to where line and col are counted
	line, col int
}

func parseJSON(src []byte) (*node, error) {
	r := &jsonReader{src: src, decoder: json.NewDecoder(bytes.NewReader(src)), line: 1, col: 1}
	r.decoder.UseNumber()
	n, err := r.read(0)
	if err != nil {
		return nil, err
	}
	if _, err := r.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, &problem{r.place(int(r.decoder.InputOffset())), "syntax", "there is something behind the definition"}
	}
	return n, nil
}

// place moves to an offset, which never decreases, and says where that is.
func (r *jsonReader) place(offset int) fsm.Pos {
	for r.offset < offset && r.offset < len(r.src) {
		c, size := utf8.DecodeRune(r.src[r.offset:])
		r.offset += size
		if r.col++; c == '\n' {
			r.line, r.col = r.line+1, 1
		}
	}
	return fsm.Pos{Line: r.line, Col: r.col}
}

// token reads the next token and says where it begins.
func (r *jsonReader) token() (json.Token, fsm.Pos, error) {
	start := int(r.decoder.InputOffset())
	for start < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[start]) >= 0 {
		start++
	}
	pos := r.place(start)
	token, err := r.decoder.Token()
	if err != nil {
		if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
			pos = r.place(int(bad.Offset) - 1)
		}
		return nil, pos, &problem{pos, "syntax", "this is not JSON: " + err.Error()}
	}
	return token, pos, nil
}

func (r *jsonReader) read(depth int) (*node, error) {
	token, pos, err := r.token()
	if err != nil {
		return nil, err
	}
	if depth > maxNodeDepth {
		return nil, &problem{pos, "too-deep", fmt.Sprintf("values are nested more than %d deep", MaxDepth)}
	}
	n := &node{pos: pos}
	switch v := token.(type) {
	case nil:
		n.text = "null"
	case bool:
		n.kind, n.value, n.text = kindBool, v, strconv.FormatBool(v)
	case string:
		n.kind, n.text, n.quoted = kindText, v, true
	case json.Number:
		return n, n.number(string(v))
	case json.Delim:
		if v == '[' {
			n.kind = kindList
			return n, r.list(n, depth)
		}
		n.kind = kindMap
		return n, r.object(n, depth)
	}
	return n, nil
}

func (n *node) number(text string) error {
	n.text = text
	if !strings.ContainsAny(text, ".eE") {
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return &problem{n.pos, "syntax", clip(text) + " does not fit a 64-bit integer"}
		}
		n.kind, n.value = kindInt, i
		return nil
	}
	f, same, err := events.ParseDouble(text)
	switch {
	case err != nil:
		return &problem{n.pos, "syntax", clip(text) + " is not a finite number"}
	case !same:
		return &problem{n.pos, "syntax", clip(text) + " is not a double: write one that is, or text"}
	}
	n.kind, n.value = kindFloat, f
	return nil
}

func (r *jsonReader) list(n *node, depth int) error {
	for r.decoder.More() {
		item, err := r.read(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, _, err := r.token()
	return err
}

func (r *jsonReader) object(n *node, depth int) error {
	seen := make(map[string]int)
	for r.decoder.More() {
		token, pos, err := r.token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if line, twice := seen[key]; twice {
			return &problem{pos, "duplicate-key", fmt.Sprintf("key %q is there twice: first on line %d", key, line)}
		}
		seen[key] = pos.Line
		item, err := r.read(depth + 1)
		if err != nil {
			return err
		}
		n.keys = append(n.keys, &node{pos: pos, kind: kindText, text: key, quoted: true})
		n.items = append(n.items, item)
	}
	_, _, err := r.token()
	return err
}
