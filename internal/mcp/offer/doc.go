// Package offer makes tools of the workflows whose definitions say `tool`: a call
// starts an instance, and is answered with its output, or as a task that is the
// instance.
//
// Nothing is kept here. Whose an instance is, is in its business key; where it is,
// the router says. So any replica answers for any task, also after all of them were
// killed.
//
// # Organization
//
// workflows.go is what is offered, call.go one call, wait.go how it is waited for,
// state.go what an instance looks like as a task, ask.go is about the questions to
// people, name.go about the names of instances, resources.go about what can be read.
package offer
