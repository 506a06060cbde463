// Package endtoend calls tools of real MCP servers the way users do: with the programs,
// on `leat dev` and on a real Kafka, and kills what runs the calls in the middle.
package endtoend
