package devkafka

import (
	"encoding/binary"
	"testing"
)

func TestBatchesOfAnotherCountAreRefused(t *testing.T) {
	record := []byte{14, 0, 0, 0, 1, 1, 0, 0}
	batch := func(count int32, packed uint16, records ...[]byte) []byte {
		b := make([]byte, batchHeader, batchHeader+len(record)*len(records))
		binary.BigEndian.PutUint16(b[21:], packed)
		binary.BigEndian.PutUint32(b[counted:], uint32(count))
		for _, r := range records {
			b = append(b, r...)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		batch []byte
		sound bool
	}{
		{"one", batch(1, 0, record), true},
		{"two", batch(2, 0, record, record), true},
		{"more said", batch(3, 0, record, record), false},
		{"fewer said", batch(1, 0, record, record), false},
		{"below zero", batch(-1, 0, record), false},
		{"none", batch(0, 0), false},
		{"none where some are said", batch(5, 0), false},
		{"a record cut", batch(1, 0, record[:5]), false},
		{"a length below zero", batch(1, 0, []byte{1}), false},
		{"no length", batch(1, 0, []byte{0xff, 0xff}), false},
		{"packed", batch(7, 1, []byte("packed")), true},
		{"packed, and too many", batch(1<<24, 1, []byte("packed")), false},
		{"no batch at all", []byte("short"), true},
	} {
		if got := soundBatch(c.batch); got != c.sound {
			t.Errorf("%s: sound is %v", c.name, got)
		}
	}
}
