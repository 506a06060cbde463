package devkafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfake's files, version 1: <base>.dat holds record batches as on the wire,
// <base>.idx one entry of 15 bytes a batch.
const (
	indexVersion   = 1
	indexEntrySize = 15
	batchHeader    = 61 // bytes of a record batch before its records
)

var crc32c = crc32.MakeTable(crc32.Castagnoli)

// Bits of a batch's attributes.
const (
	transactional = 1 << 4
	control       = 1 << 5
)

// partitionLog is what recovery needs to know of one partition.
type partitionLog struct {
	dir       string
	base      int64 // of the newest segment
	hasData   bool
	next      int64 // offset of the next record
	epoch     int32 // partition leader epoch of the newest batch
	newest    int64 // highest timestamp
	pending   map[int64]int16
	committed []txn
}

// readPartition reads every segment, cuts off what the crash left half written,
// and completes the index.
func readPartition(dir string) (*partitionLog, error) {
	l := &partitionLog{dir: dir, pending: make(map[int64]int16)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".dat"); ok {
			if base, err := strconv.ParseInt(name, 10, 64); err == nil {
				bases = append(bases, base)
			}
		}
	}
	slices.Sort(bases)
	for _, base := range bases {
		if err := l.readSegment(base); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *partitionLog) path(base int64, ext string) string {
	return filepath.Join(l.dir, strconv.FormatInt(base, 10)+ext)
}

func (l *partitionLog) readSegment(base int64) error {
	raw, err := os.ReadFile(l.path(base, ".dat"))
	if err != nil {
		return err
	}
	index, err := os.ReadFile(l.path(base, ".idx"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	index = index[:len(index)/indexEntrySize*indexEntrySize]
	l.base, l.hasData = base, true
	pos, batches := 0, 0
	for {
		size := batchSize(raw[pos:])
		if size == 0 {
			break
		}
		batch := raw[pos : pos+size]
		l.note(batch)
		if batches++; batches*indexEntrySize > len(index) {
			index = append(index, l.indexEntry(attributes(batch)&(transactional|control) == transactional)...)
		}
		pos += size
	}
	if pos < len(raw) {
		if err := os.Truncate(l.path(base, ".dat"), int64(pos)); err != nil {
			return err
		}
	}
	return os.WriteFile(l.path(base, ".idx"), index[:batches*indexEntrySize], 0o600) //nolint:gosec // the broker's own directory
}

// batchSize is the length of the whole batch that raw begins with, 0 when
// there is none.
func batchSize(raw []byte) int {
	if len(raw) < batchHeader {
		return 0
	}
	size := 12 + int(int32(binary.BigEndian.Uint32(raw[8:]))) //nolint:gosec // checked below
	if size < batchHeader || size > len(raw) || binary.BigEndian.Uint32(raw[17:]) != crc32.Checksum(raw[21:size], crc32c) {
		return 0
	}
	return size
}

func attributes(batch []byte) int { return int(binary.BigEndian.Uint16(batch[21:])) }

// note follows the transactions of the partition through one batch.
func (l *partitionLog) note(batch []byte) {
	l.next = int64(binary.BigEndian.Uint64(batch)) + int64(binary.BigEndian.Uint32(batch[23:])) + 1 //nolint:gosec // offsets are positive
	l.epoch = int32(binary.BigEndian.Uint32(batch[12:]))                                            //nolint:gosec // a Kafka int32
	l.newest = max(l.newest, int64(binary.BigEndian.Uint64(batch[35:])))                            //nolint:gosec // a Kafka int64
	t := txn{
		pid:   int64(binary.BigEndian.Uint64(batch[43:])), //nolint:gosec // a Kafka int64
		epoch: int16(binary.BigEndian.Uint16(batch[51:])), //nolint:gosec // a Kafka int16
	}
	switch attributes(batch) & (transactional | control) {
	case transactional:
		l.pending[t.pid] = t.epoch
	case transactional | control:
		delete(l.pending, t.pid)
		if isCommit(batch) {
			l.committed = append(l.committed, t)
		}
	}
}

func isCommit(batch []byte) bool {
	var record kmsg.Record
	var key kmsg.ControlRecordKey
	return record.ReadFrom(batch[batchHeader:]) == nil && key.ReadFrom(record.Key) == nil &&
		key.Type == kmsg.ControlRecordKeyTypeCommit
}

// open lists the transactions without an end, in a stable order.
func (l *partitionLog) open() []txn {
	var open []txn
	for _, pid := range slices.Sorted(maps.Keys(l.pending)) {
		open = append(open, txn{pid, l.pending[pid]})
	}
	return open
}

// appendMarker ends t in this partition, as EndTxn would have done.
func (l *partitionLog) appendMarker(t txn, commit bool) error {
	if !l.hasData {
		return fmt.Errorf("transaction of producer %d in an empty partition", t.pid)
	}
	batch := l.marker(t, commit)
	if err := appendFile(l.path(l.base, ".dat"), batch); err != nil {
		return err
	}
	l.note(batch)
	return appendFile(l.path(l.base, ".idx"), l.indexEntry(false))
}

func (l *partitionLog) marker(t txn, commit bool) []byte {
	key := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyTypeAbort}
	if commit {
		key.Type = kmsg.ControlRecordKeyTypeCommit
	}
	record := kmsg.Record{Key: key.AppendTo(nil), Value: (&kmsg.EndTxnMarker{}).AppendTo(nil)}
	record.Length = int32(len(record.AppendTo(nil)) - 1) //nolint:gosec // a few bytes; its own length takes one
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{
		FirstOffset: l.next, PartitionLeaderEpoch: l.epoch, Magic: 2, Attributes: transactional | control,
		FirstTimestamp: now, MaxTimestamp: now, ProducerID: t.pid, ProducerEpoch: t.epoch, FirstSequence: -1,
		NumRecords: 1, Records: record.AppendTo(nil),
	}
	b.Length = int32(len(b.AppendTo(nil)) - 12)                 //nolint:gosec // a few bytes
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[21:], crc32c)) //nolint:gosec // the same bits
	return b.AppendTo(nil)
}

// indexEntry is kfake's entry for the newest batch.
func (l *partitionLog) indexEntry(inTxn bool) []byte {
	entry := make([]byte, indexEntrySize)
	entry[0] = indexVersion
	binary.LittleEndian.PutUint32(entry[2:], uint32(l.epoch))  //nolint:gosec // the same bits
	binary.LittleEndian.PutUint64(entry[6:], uint64(l.newest)) //nolint:gosec // the same bits
	if inTxn {
		entry[14] = 1
	}
	entry[1] = byte(crc32.Checksum(entry[2:], crc32c)) //nolint:gosec // the low byte is what is wanted
	return entry
}

func appendFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the user's own directory
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
