// Package workers runs the examples in other languages, and the page that
// explains how to write one, against `leat dev` and against processes on a real
// Kafka, and kills workers in the middle of a task. It holds tests only.
package workers
