package store_test

import (
	"encoding/binary"
	"testing"

	"github.com/leat-io/leat/internal/store"
)

// The sizes are those of a router's book: keys of 48 bytes, values of 300.
const (
	benchKeys  = 200_000
	benchBatch = 100
)

func benchKey(key []byte, n uint64) []byte {
	key = append(key[:0], "i\x17workflow.order.commands\x00\x00\x00\x03"...)
	n *= 0x9e3779b97f4a7c15 // ids come in no order
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(key, n), n>>7)
}

func fill(b *testing.B) *store.DB {
	b.Helper()
	db, err := store.Open(store.Options{Dir: b.TempDir(), Layout: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	for n := uint64(0); n < benchKeys; n += benchBatch {
		putBatch(b, db, n)
	}
	return db
}

func putBatch(b *testing.B, db *store.DB, from uint64) {
	b.Helper()
	var key []byte
	value := make([]byte, 300)
	batch := db.NewBatch()
	defer batch.Close()
	for n := from; n < from+benchBatch; n++ {
		key = benchKey(key, n)
		copy(value, key)
		batch.Set(key, value)
	}
	if err := batch.Commit(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStorePut is one value of a batch of 100.
func BenchmarkStorePut(b *testing.B) {
	db := fill(b)
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		if n%benchBatch == 0 {
			putBatch(b, db, n%benchKeys)
		}
		n++
	}
}

// BenchmarkStoreGet is one value among 200,000, in no order.
func BenchmarkStoreGet(b *testing.B) {
	db := fill(b)
	var key []byte
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n = (n + 7919) % benchKeys
		key = benchKey(key, n)
		if _, ok, err := db.Get(key); err != nil || !ok {
			b.Fatal(n, ok, err)
		}
	}
}

// BenchmarkStoreMiss asks for what is not there, as the start of an instance does.
func BenchmarkStoreMiss(b *testing.B) {
	db := fill(b)
	var key []byte
	n := uint64(benchKeys)
	b.ReportAllocs()
	for b.Loop() {
		n++
		key = benchKey(key, n)
		if _, ok, err := db.Get(key); err != nil || ok {
			b.Fatal(n, ok, err)
		}
	}
}
