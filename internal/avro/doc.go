// Package avro turns the records of pkg/events into bytes and back. It is the
// only package that knows Avro; the schemas stand in schemas/*.avsc.
//
// A record is Avro single-object encoding: C3 01, the CRC-64-AVRO fingerprint
// of the writer's schema (little endian), and the body. Encoding validates and
// refuses; decoding trusts nobody: closed sets, UUIDs, UTF-8, ranges and sizes
// are checked, and the error names the field.
//
// # Organization
//
// records.go lists the fields of every record once, in the order of its schema,
// for both directions; codec.go and its neighbours know how one value is
// written and read. That mapping by hand is the hot path: it is several times
// faster than a reflecting codec, and bytes are the same for the same record
// (maps are written in the order of their keys). twmb/avro resolves what an
// older schema wrote (registry.go), goavro gives JSON text (tojson.go), and
// the tests compare every byte with both.
//
// The package is not for definitions' content, nor for Confluent framing,
// which wraps the same body.
package avro
