// Package definition reads workflow definitions: YAML or JSON in, a compiled
// [fsm.Machine] or a list of findings out. It also says how two versions differ,
// and what the handlers of workers do not fit. internal/simulate runs a machine,
// internal/draw draws it.
//
// What a definition may say is documented in docs/reference/definition.md. The
// parser refuses anchors, aliases, merge keys, duplicate keys and more than one
// document, and its time and memory are bounded by [MaxSize].
package definition
