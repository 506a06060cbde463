package kafka

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func packed(t *testing.T, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// one is a record of size bytes behind its length.
func one(size int) []byte {
	return append(binary.AppendVarint(nil, int64(size)), make([]byte, size)...)
}

func TestBatchesThatCannotBeUnpackedAreSkipped(t *testing.T) {
	for name, batch := range map[string][]byte{
		"no gzip at all":           []byte("garbage"),
		"cut":                      packed(t, one(100))[:15],
		"more bytes":               packed(t, one(maxUnpacked+1)),
		"more records":             packed(t, make([]byte, maxBatchRecords+1)),
		"a record cut":             packed(t, one(100)[:50]),
		"a length below zero":      packed(t, []byte{1}),
		"a length that never ends": packed(t, bytes.Repeat([]byte{0xff}, 20)),
	} {
		u, err := newUnpacker()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Decompress(batch, kgo.CodecGzip); !errors.Is(err, kgo.ErrMaxDecompress) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoMoreIsUnpackedThanIsTaken(t *testing.T) {
	u, err := newUnpacker()
	if err != nil {
		t.Fatal(err)
	}
	batch := packed(t, one(12<<20))
	unpack := func() (n int) {
		for range 100 {
			_, err := u.Decompress(batch, kgo.CodecGzip)
			if errors.Is(err, errLater) && !errors.Is(err, kgo.ErrMaxDecompress) {
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	if n := unpack(); n != 3 {
		t.Errorf("%d batches of 12 MiB are unpacked ahead, want 3", n)
	}
	if n := unpack(); n != 0 {
		t.Errorf("%d more before anybody took one", n)
	}
	if u.taken(); unpack() != 3 {
		t.Error("not again when they were taken")
	}
}
