package avro

import (
	"errors"
	"fmt"
)

// Errors that a caller may branch on. Everything else that is wrong with a
// record is an [events.FieldError] that names the field.
var (
	ErrNotAvro     = errors.New("not an Avro record: does not begin with C3 01 (single-object encoding)")
	ErrTruncated   = errors.New("the record ends too early")
	ErrTrailing    = errors.New("there are bytes after the end of the record")
	ErrTooLarge    = errors.New("the record is too large")
	ErrFingerprint = errors.New("the schema fingerprint is not that of this record")
)

// FingerprintError says which schema was met and which would be understood. It
// matches ErrFingerprint.
type FingerprintError struct {
	Record string   // what was asked for, such as "event"; "" for any
	Got    uint64   // fingerprint in the bytes
	Of     string   // the record that Got stands for, "" when it is unknown
	Known  []uint64 // fingerprints of Record that are understood
}

// Error names both sides.
func (e *FingerprintError) Error() string {
	if e.Of != "" {
		return fmt.Sprintf("schema fingerprint %016x is that of a %s, want a %s", e.Got, e.Of, e.Record)
	}
	return fmt.Sprintf("schema fingerprint %016x is unknown, want one of %016x (readers are deployed before writers)", e.Got, e.Known)
}

// Is makes errors.Is(err, ErrFingerprint) true.
func (e *FingerprintError) Is(target error) bool { return target == ErrFingerprint }
