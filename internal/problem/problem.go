// Package problem is how Leat says that something went wrong: a code, what
// happened, why, and what to do about it. Every error that reaches a user has
// an entry in the one registry of this package (registry.go), from which come
// its exit code and the list in the documentation.
//
// It is not for errors between packages: those stay plain Go errors, and are
// turned into problems once, where they are shown.
package problem

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// Problem is an error as a user sees it. It is made by [New].
type Problem struct { //nolint:errname // it is a problem, not an error value: see the package comment
	Code Code   // stable; in the registry
	What string // what could not be done
	Why  string // the cause, as far as it is known
	Fix  string // what to do; a command where there is one
	// Err is the error behind it, for errors.Is and for the log. May be nil.
	Err error
}

// New makes a problem. An empty fix takes the registry's.
func New(code Code, what, why, fix string) *Problem {
	if fix == "" {
		fix = registry[code].Fix
	}
	return &Problem{Code: code, What: what, Why: why, Fix: fix}
}

// Wrap is New for an error: its text is the cause. A nil error gives a problem
// without a cause, so that telling of a fault is never another one.
func Wrap(code Code, what string, err error) *Problem {
	why := ""
	if err != nil {
		why = oneLine(err.Error())
	}
	p := New(code, what, why, "")
	p.Err = err
	return p
}

// Error reads "what: why".
func (p *Problem) Error() string {
	if p.Why == "" {
		return p.What
	}
	return p.What + ": " + p.Why
}

// Unwrap gives the error behind the problem.
func (p *Problem) Unwrap() error { return p.Err }

// Exit is the exit code of a program that ends with p.
func (p *Problem) Exit() int { return registry[p.Code].Exit }

// Is makes problems of the same code equal to errors.Is.
func (p *Problem) Is(target error) bool {
	var other *Problem
	return errors.As(target, &other) && other.Code == p.Code && other.What == ""
}

// WriteText prints p for people; color is for terminals. What a stranger wrote
// into a cause is shown, and does nothing to a terminal.
func (p *Problem) WriteText(w io.Writer, color bool) {
	red, dim, bold, reset := "", "", "", ""
	if color {
		red, dim, bold, reset = "\x1b[31;1m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
	}
	_, _ = fmt.Fprintf(w, "%serror[%s]%s: %s%s%s\n", red, p.Code, reset, bold, events.ShowLines(p.What), reset)
	for _, line := range [][2]string{{"why", p.Why}, {"fix", p.Fix}} {
		if line[1] != "" {
			_, _ = fmt.Fprintf(w, "  %s%s :%s %s\n", dim, line[0], reset, indent(events.ShowLines(line[1])))
		}
	}
}

// WriteJSON prints {"error":{"code","what","why","fix"}} on one line.
func (p *Problem) WriteJSON(w io.Writer) {
	text, _ := events.EncodeJSON(map[string]any{"error": struct {
		Code Code   `json:"code"`
		What string `json:"what"`
		Why  string `json:"why"`
		Fix  string `json:"fix"`
	}{p.Code, p.What, p.Why, p.Fix}}) // texts cannot fail
	_, _ = w.Write(append(events.ShowJSON(text), '\n'))
}

// indent puts further lines below the first.
func indent(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n        ") }

// oneLine joins what errors.Join put on lines of their own.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
