// Package definition reads workflow definitions: YAML or JSON in, a compiled
// [fsm.Machine] or a list of findings out. It also simulates a machine without
// a broker, runs the test cases that people ship beside a definition, and draws
// it.
//
// What a definition may say is documented in docs/reference/definition.md. The
// parser refuses anchors, aliases, merge keys, duplicate keys and more than one
// document, and its time and memory are bounded by [MaxSize].
package definition
