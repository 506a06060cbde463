// Package schema judges JSON by a JSON Schema that a stranger wrote: a tool's
// input and output, the form of a question.
//
// Such a schema can be an attack: a few hundred bytes that take minutes to
// evaluate, a reference to an address inside the network, a cycle. [Guard] refuses
// those before anything is compiled, in time that is linear in their length.
//
// guard.go holds the bounds, walk.go finds the subschemas and cost.go what they
// can cost, schema.go compiles and checks, fill.go applies defaults, mismatch.go
// words what does not fit. It fetches nothing.
package schema
