package kafka

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestDeadLettersFitIntoRecords(t *testing.T) {
	for name, r := range map[string]*Record{
		"small":         {Key: []byte("k"), Value: []byte("v"), Headers: []Header{{Key: "h", Value: []byte("x")}}},
		"nothing":       {},
		"large value":   {Key: []byte("k"), Value: bytes.Repeat([]byte("0123456789"), 300<<10)},
		"endless":       {Key: []byte("k"), Value: bytes.Repeat([]byte("0123456789"), 1<<20)},
		"large key":     {Key: bytes.Repeat([]byte("k"), 2<<20), Value: []byte("v")},
		"large headers": {Key: []byte("k"), Headers: []Header{{Key: "h", Value: make([]byte, 2<<20)}}},
	} {
		r.Topic, r.Partition, r.Offset = "commands", 3, 7
		dead := NewDeadLetters("dlq", r, errors.New(strings.Repeat("why ", 1000)))
		var value []byte
		for _, d := range dead {
			if size := len(d.Value) + RestSize(d); size > 900<<10 {
				t.Errorf("%s: a dead letter of %d bytes", name, size)
			}
			if d.Topic != "dlq" || !bytes.HasPrefix(r.Key, d.Key) || d.Partition != anyPartition {
				t.Errorf("%s: it goes to %s/%d with key %.10q", name, d.Topic, d.Partition, d.Key)
			}
			value = append(value, d.Value...)
		}
		kept := len(r.Value)
		if kept > deadWhole {
			kept = deadBegin
		}
		if !bytes.Equal(value, r.Value[:kept]) {
			t.Errorf("%s: %d bytes are kept of %d", name, len(value), len(r.Value))
		}
		if many := kept > deadValue; many != (len(dead) > 1) {
			t.Errorf("%s: it is %d dead letters", name, len(dead))
		}
	}
}
