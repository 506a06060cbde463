package draw_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/draw"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata; look at the pictures afterwards")

func svg(t *testing.T, name string, src []byte) []byte {
	t.Helper()
	m, _, err := definition.Parse(name, src)
	if err != nil {
		t.Fatal(err)
	}
	var out, again bytes.Buffer
	if err := errors.Join(draw.SVG(&out, m), draw.SVG(&again, m)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Errorf("%s: two pictures of one definition differ", name)
	}
	decoder := xml.NewDecoder(bytes.NewReader(out.Bytes()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return out.Bytes()
		} else if err != nil {
			t.Fatalf("%s: not XML: %v", name, err)
		}
	}
}

// The pictures in testdata are what is drawn.
func TestPictures(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no definitions", err)
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden := strings.TrimSuffix(path, ".yaml") + ".svg"
		got := svg(t, path, src)
		if *rewrite {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is drawn now (%v): run with -rewrite and look at it", golden, err)
		}
	}
}

// Foreign text stays text.
func TestTextIsEscaped(t *testing.T) {
	got := string(svg(t, "x", []byte(`
leat: v1
type: test
version: 1
states:
  a: {on: {"</text><script>": {target: a, guard: "1 < 2 && 'a\"b' != '&'"}}}
`)))
	if strings.Contains(got, "<script>") || !strings.Contains(got, "&lt;script&gt;") {
		t.Errorf("not escaped:\n%s", got)
	}
}

// Every state and every arrow of a chart of 60 states, nested and flat, is drawn,
// and no two boxes that are not within each other meet.
func TestSixtyStates(t *testing.T) {
	var nested, flat strings.Builder
	nested.WriteString("leat: v1\ntype: test\nversion: 1\non: {cancel: p00}\nstates:\n")
	flat.WriteString("leat: v1\ntype: test\nversion: 1\nstates:\n")
	for i := range 12 {
		fmt.Fprintf(&nested, "  p%02d: {states: {a%02d: {on: {x: b%02d}}, b%02d: {on: {x: [c%02d, a%02d]}}, c%02d: {after: {3s: a%02d}, on: {out: p%02d}}, d%02d: {on: {y: d%02d}}}}\n",
			i, i, i, i, i, i, i, i, (i*7+1)%12, i, i)
	}
	for i := range 60 {
		fmt.Fprintf(&flat, "  s%02d: {on: {one: s%02d, two: s%02d}}\n", i, (i+1)%60, (i*i+3)%60)
	}
	for name, src := range map[string]string{"nested": nested.String(), "flat": flat.String()} {
		boxes := rects(t, svg(t, name, []byte(src)))
		if len(boxes) < 60 {
			t.Errorf("%s: %d boxes", name, len(boxes))
		}
		for i, a := range boxes {
			for _, b := range boxes[:i] {
				if a.meets(b) && !a.holds(b) && !b.holds(a) {
					t.Errorf("%s: %v and %v overlap", name, a, b)
				}
			}
		}
	}
}

type frame struct{ x, y, w, h float64 }

func (a frame) meets(b frame) bool {
	return a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h
}

func (a frame) holds(b frame) bool {
	return a.x <= b.x && a.y <= b.y && a.x+a.w >= b.x+b.w && a.y+a.h >= b.y+b.h
}

// rects are the boxes of states in a picture.
func rects(t *testing.T, picture []byte) []frame {
	t.Helper()
	var out []frame
	for line := range strings.Lines(string(picture)) {
		var class string
		var f frame
		if strings.HasPrefix(line, `<rect class="state`) || strings.HasPrefix(line, `<rect class="group`) {
			_, rest, _ := strings.Cut(line, " x=")
			if _, err := fmt.Sscanf("x="+rest, "x=%q y=%q", &class, &class); err != nil {
				t.Fatal(err)
			}
			n, err := fmt.Sscanf(strings.NewReplacer(`"`, "", "/>", "").Replace("x="+rest), "x=%f y=%f width=%f height=%f", &f.x, &f.y, &f.w, &f.h)
			if n != 4 {
				t.Fatal(line, err)
			}
			out = append(out, f)
		}
	}
	return out
}
