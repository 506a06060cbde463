package definition

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/leat-io/leat/pkg/fsm"
)

// Change is one way in which two definitions differ.
type Change struct {
	Kind    string `json:"kind"`             // added, removed or changed
	Part    string `json:"part"`             // state, transition, timer, invocation, action, data, payload, setting
	Subject string `json:"subject"`          // where: the state, or the name
	Old     string `json:"old,omitempty"`    // as words
	New     string `json:"new,omitempty"`    // as words
	Moving  string `json:"moving,omitempty"` // what it means for instances that are moved to the new definition
}

// Diff is how two definitions differ, and what that means for instances that run
// on the first and are moved to the second.
type Diff struct {
	Old     string                 `json:"old"` // type@version
	New     string                 `json:"new"`
	Changes []Change               `json:"changes"`
	Moving  []fsm.MigrationFinding `json:"moving"` // without any mapping of states
	// Safe: every running instance can be moved as it is. Else states have to be
	// mapped, or cannot be.
	Safe bool `json:"safe"`
}

// Compare compares two definitions by what they mean: comments, layout and the
// order of keys that have no meaning do not count.
func Compare(a, b *fsm.Machine) Diff {
	d := Diff{
		Old: fmt.Sprintf("%s@%d", a.Type(), a.Version()), New: fmt.Sprintf("%s@%d", b.Type(), b.Version()),
		Changes: []Change{}, Moving: a.CheckMigration(b, nil), Safe: true,
	}
	was, is := partsOf(a.Definition()), partsOf(b.Definition())
	for _, p := range was.order {
		now, there := is.text[p]
		switch {
		case !there:
			d.Changes = append(d.Changes, Change{Kind: "removed", Part: p.part, Subject: p.subject, Old: was.text[p]})
		case now != was.text[p]:
			d.Changes = append(d.Changes, Change{Kind: "changed", Part: p.part, Subject: p.subject, Old: was.text[p], New: now})
		}
	}
	for _, p := range is.order {
		if _, there := was.text[p]; !there {
			d.Changes = append(d.Changes, Change{Kind: "added", Part: p.part, Subject: p.subject, New: is.text[p]})
		}
	}
	for _, f := range d.Moving {
		d.Safe = d.Safe && !f.Fatal
		d.explain(f)
	}
	if d.Moving == nil {
		d.Moving = []fsm.MigrationFinding{}
	}
	return d
}

// explain says beside the changes that f is about what they mean for running
// instances.
func (d *Diff) explain(f fsm.MigrationFinding) {
	for i := range d.Changes {
		c := &d.Changes[i]
		about := c.Subject == f.Subject || strings.HasPrefix(c.Subject, f.Subject+" ")
		if c.Moving == "" && about && (c.Part == "state" || c.Part == "data" || c.Part == "payload") {
			c.Moving = f.Text
		}
	}
}

// part names one thing of a definition that can be compared.
type part struct{ part, subject string }

type parts struct {
	order []part
	text  map[part]string
}

func (p *parts) add(kind, subject, text string) {
	key := part{kind, subject}
	for n := 2; ; n++ {
		if _, taken := p.text[key]; !taken {
			break
		}
		key.subject = fmt.Sprintf("%s (%d)", subject, n)
	}
	p.order = append(p.order, key)
	p.text[key] = text
}

func partsOf(d *fsm.Definition) *parts {
	p := &parts{text: make(map[part]string)}
	for i := range d.Data {
		v := &d.Data[i]
		text := v.Kind.String()
		if value, err := v.Default.MarshalJSON(); err == nil && v.Default.Kind() != 0 {
			text += ", at first " + string(value)
		}
		p.add("data", v.Name, text)
	}
	for i := range d.Payloads {
		p.add("payload", d.Payloads[i].Name, orNone(string(d.Payloads[i].Schema), "any JSON"))
	}
	setting := func(name, text string) {
		if text != "" {
			p.add("setting", name, text)
		}
	}
	setting("input", string(d.InputSchema))
	setting("secrets", strings.Join(d.Secrets, ", "))
	setting("search", strings.Join(d.Search, ", "))
	setting("isolation", string(d.Isolation))
	if d.Retention > 0 {
		setting("retention", d.Retention.String())
	}
	if t := d.Tool; t != nil {
		setting("tool", fmt.Sprintf("%s, task: %s, wait: %s", t.Description, t.Task, t.Wait))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Limits)) {
		setting("limit "+name, strconv.FormatInt(d.Limits[name], 10))
	}
	if c := d.Compensation; c != nil {
		setting("compensation", fmt.Sprintf("on %v, newest first: %v", c.On, c.Reverse))
	}
	p.state(d.Root, "")
	return p
}

func (p *parts) state(s *fsm.State, parent string) {
	name := s.ID
	if parent != "" {
		text := s.Type.String()
		if parent != p.rootName() {
			text += " in " + parent
		}
		if s.Type == fsm.Final {
			text += final(s)
		}
		if s.Type == fsm.History {
			text += history(s)
		}
		p.add("state", name, text)
	} else {
		p.text[part{"root", ""}] = name
	}
	if s.Initial != nil {
		p.add("setting", name+" initial", targets(s.Initial.Targets)+does(nil, s.Initial.Actions))
	}
	for _, t := range s.On {
		p.add("transition", name+" on "+strings.Join(t.Events, " "), transition(t))
	}
	for _, t := range s.OnDone {
		p.add("transition", name+" onDone", transition(t))
	}
	for _, t := range s.OnError {
		p.add("transition", name+" onError", transition(t))
	}
	for _, a := range s.After {
		for _, t := range a.Transitions {
			p.add("timer", name+" after "+a.Key, transition(t))
		}
	}
	for _, t := range s.Always {
		p.add("transition", name+" always", transition(t))
	}
	p.actions(name+" entry", s.Entry)
	p.actions(name+" exit", s.Exit)
	for _, inv := range slices.Concat(s.Invoke, s.Tasks) {
		p.invocation(name, inv)
	}
	for _, child := range s.States {
		p.state(child, s.ID)
	}
}

func (p *parts) rootName() string { return p.text[part{"root", ""}] }

func (p *parts) actions(subject string, list []fsm.Action) {
	if len(list) > 0 {
		p.add("action", subject, strings.TrimPrefix(does(nil, list), ", "))
	}
}

func (p *parts) invocation(state string, inv *fsm.Invocation) {
	subject := state
	if inv.ID != state {
		subject += " " + inv.ID
	}
	p.add("invocation", subject, invocation(inv))
	for _, t := range inv.OnDone {
		p.add("transition", subject+" onDone", transition(t))
	}
	for _, t := range inv.OnError {
		p.add("transition", subject+" onError", transition(t))
	}
}

func orNone(s, none string) string {
	if s == "" {
		return none
	}
	return s
}
