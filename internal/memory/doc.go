// Package memory keeps the contracts of pkg/spi in memory: a bus with topics,
// partitions, groups and redelivery, and a workflow engine that records what it
// is asked. Code that uses the contracts is tested against it without a broker;
// the suites of internal/spi/spitest hold it to what the implementations on Kafka do.
//
// It is not an engine: nothing survives the process, no statechart decides, and
// there are no tasks, timers or definitions.
package memory
