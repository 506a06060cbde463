// Package schemas embeds the Avro schema of every record that Leat writes, one
// file a record. They are the contract with everyone who reads the topics
// without Leat. Encoding and decoding is the business of internal/avro.
package schemas

import "embed"

// Files holds <record>.avsc for the records command, event, task, outcome,
// snapshot, checkpoint, definition, audit, cancellation, schedule and progress (of a schedule), subsystem,
// tool and health (of MCP), and old/<record>-<n>.avsc for schemas
// that were released once and are still read.
//
//go:embed *.avsc old
var Files embed.FS
