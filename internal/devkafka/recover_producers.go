package devkafka

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
)

// producerLog is kfake's pids.log: what transactional ids stand for.
type producerLog struct {
	path   string
	newest map[int64]producerEntry
	ended  map[txn]bool
}

type producerEntry struct {
	Type    string `json:"type"`
	PID     int64  `json:"pid"`
	Epoch   int16  `json:"epoch"`
	TxID    string `json:"txid,omitempty"`
	Timeout int32  `json:"timeout,omitempty"`
}

// entryVersion is kfake's version of an entry: length, CRC, version, JSON.
const (
	entryVersion = 1
	entryHeader  = 10
)

func readProducers(root string) (*producerLog, error) {
	p := &producerLog{path: filepath.Join(root, "pids.log"), newest: make(map[int64]producerEntry), ended: make(map[txn]bool)}
	raw, err := os.ReadFile(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	pos := 0
	for {
		size := entrySize(raw[pos:])
		if size == 0 {
			break
		}
		var e producerEntry
		if json.Unmarshal(raw[pos+entryHeader:pos+size], &e) == nil {
			p.note(e)
		}
		pos += size
	}
	if pos < len(raw) {
		return p, os.Truncate(p.path, int64(pos))
	}
	return p, nil
}

func entrySize(raw []byte) int {
	if len(raw) < entryHeader {
		return 0
	}
	size := 8 + int(binary.LittleEndian.Uint32(raw))
	if size < entryHeader || size > len(raw) || binary.LittleEndian.Uint32(raw[4:]) != crc32.Checksum(raw[8:size], crc32c) {
		return 0
	}
	return size
}

func (p *producerLog) note(e producerEntry) {
	switch e.Type {
	case "init":
		p.newest[e.PID] = e
	case "endtx":
		p.ended[txn{e.PID, e.Epoch}] = true
	}
}

// endedBefore reports that a transaction of this name ended in order. One that
// is open under the same name is then another one, by a client from before
// KIP-890 that keeps its epoch, and a commit marker says nothing about it.
func (p *producerLog) endedBefore(t txn) bool { return p.ended[t] }

// fence raises the epochs of producers whose transactions recovery ended, so
// that a client which outlived the broker cannot go on with the other half.
func (p *producerLog) fence(pids []int64) error {
	var out []byte
	for _, pid := range pids {
		e, ok := p.newest[pid]
		if !ok {
			continue
		}
		e.Epoch++
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		entry := make([]byte, entryHeader, entryHeader+len(text))
		binary.LittleEndian.PutUint16(entry[8:], entryVersion)
		entry = append(entry, text...)
		binary.LittleEndian.PutUint32(entry, uint32(2+len(text))) //nolint:gosec // a short line
		binary.LittleEndian.PutUint32(entry[4:], crc32.Checksum(entry[8:], crc32c))
		out = append(out, entry...)
	}
	if out == nil {
		return nil
	}
	return appendFile(p.path, out)
}
