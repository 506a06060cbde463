package frame

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestEvents(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	in := ": comment\n\nevent: message\r\nid: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nretry: 1500\nid: 8\n\n" +
		"data:" + long + "\n\n: " + strings.Repeat("c", 200_000) + "\nunknown" + strings.Repeat("u", 100_000) + ": 1\ndata: after\n\ndata: cut off"
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(in), "byte by byte": iotest.OneByteReader(strings.NewReader(in))} {
		e := NewEvents(r, 50_000)
		for i, want := range []struct {
			id, data string
			retry    time.Duration
		}{{"7", "{\"a\":\n1}", 0}, {"8", "", 1500 * time.Millisecond}, {"", long, 0}, {"", "after", 0}} {
			ev, err := e.Next()
			if err != nil || ev.ID != want.id || string(ev.Data) != want.data || ev.Retry != want.retry {
				t.Fatalf("%s, event %d: got %q %.60q %v, %v", name, i, ev.ID, ev.Data, ev.Retry, err)
			}
		}
		if _, err := e.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: an event that is cut off was taken: %v", name, err)
		}
	}
	for _, in := range []string{"data: " + long + "\n\n", strings.Repeat("data: x\n", 20_000) + "\n"} {
		if _, err := NewEvents(strings.NewReader(in), 30_000).Next(); !errors.Is(err, ErrLong) {
			t.Errorf("got %v", err)
		}
	}
}

func TestLines(t *testing.T) {
	const limit = 100_000
	long := strings.Repeat(`{"id":9} \" [`, 20_000)
	in := "first\n\n" + strings.Repeat("y", 70_000) + "\n" +
		`{"result":{"id":1,"text":` + strconv.Quote(long) + `},"jsonrpc":"2.0","id":42}` + "\n" +
		`{"id": 43 ,"result":"` + strings.Repeat("z", limit) + `"}` + "\n" +
		`{"id":"44","result":"` + strings.Repeat("z", limit) + `"}` + "\n" + "last\n" + "no end"
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(in), "in halves": iotest.HalfReader(strings.NewReader(in))} {
		l := NewLines(r)
		for i, want := range []struct {
			length int
			id     string
			over   bool
		}{{5, "", false}, {0, "", false}, {70_000, "", false}, {0, "42", true}, {0, "43", true}, {0, "", true}, {4, "", false}} {
			line, id, over, err := l.Next(limit)
			if err != nil || len(line) != want.length || id != want.id || over != want.over {
				t.Fatalf("%s, line %d: got %d bytes, id %q, over %v, %v", name, i, len(line), id, over, err)
			}
		}
		if _, _, _, err := l.Next(limit); !errors.Is(err, io.EOF) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
