package tui

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/leat-io/leat/pkg/events"
)

// Escapes of the terminal: few, and readable without colours as well.
const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	red   = "\x1b[31m"
	blue  = "\x1b[36m"
	plain = "\x1b[0m"
)

// View implements [tea.Model].
func (s *simulator) View() tea.View {
	v := tea.NewView(s.text())
	v.AltScreen = true
	return v
}

func (s *simulator) text() string {
	var out strings.Builder
	look := s.now().sim.Look()
	fmt.Fprintf(&out, "%s%s@%d%s  %s  clock +%s  step %d\n\n", bold, s.machine.Type(), s.machine.Version(), plain, look.State, look.Elapsed, len(s.past)-1)
	section(&out, "active", look.Active)
	var data []string
	for _, d := range look.Data {
		data = append(data, d.Name+" = "+clip(d.Value))
	}
	section(&out, "data", data)
	var tasks []string
	for _, t := range look.Tasks {
		tasks = append(tasks, fmt.Sprintf("%s (%s) %s, attempt %d", t.ID, t.Name, strings.ToLower(string(t.State)), t.Attempt))
	}
	section(&out, "tasks", tasks)
	var timers []string
	for _, t := range look.Timers {
		timers = append(timers, t.Name+" in "+t.In.String())
	}
	section(&out, "timers", timers)
	if look.Output != nil {
		section(&out, "output", []string{clip(string(look.Output))})
	}
	if look.Error != nil {
		section(&out, "error", []string{look.Error.Error()})
	}
	section(&out, "last", happened(s.now().line))
	out.WriteString("\n")
	s.menu(&out)
	if s.said != "" {
		fmt.Fprintf(&out, "\n%s%s%s\n", red, clip(s.said), plain)
	}
	return out.String()
}

// menu shows the choices, or what is asked.
func (s *simulator) menu(out *strings.Builder) {
	if s.asking != askNothing {
		asks := map[question]string{
			askEvent: "event, and its data as JSON if it has any", askDuration: "by how much, such as 30s",
			askData: "data as JSON", askCode: "code of the error, and a message if it has one",
		}
		fmt.Fprintf(out, "%s%s:%s %s▏\n\n%sEnter does it · Esc goes back%s\n", bold, asks[s.asking], plain, s.typed, faint, plain)
		return
	}
	choices := s.choices()
	room := max(6, s.height-24)
	first := max(0, min(s.at-room/2, len(choices)-room))
	for i := first; i < len(choices) && i < first+room; i++ {
		c := choices[i]
		mark, colour := "  ", ""
		if i == s.at {
			mark, colour = "▸ ", blue
		}
		if c.dim {
			colour += faint
		}
		fmt.Fprintf(out, "%s%s%s%s  %s%s%s\n", colour, mark, c.label, plain, faint, c.hint, plain)
	}
	fmt.Fprintf(out, "\n%s↑ ↓ choose · Enter takes it · d with data · u undo · r restart · q quit%s\n", faint, plain)
}

func section(out *strings.Builder, name string, lines []string) {
	const most = 6
	for i, line := range lines {
		if i == most {
			fmt.Fprintf(out, "%10s  %s… %d more%s\n", "", faint, len(lines)-most, plain)
			return
		}
		head := ""
		if i == 0 {
			head = name
		}
		fmt.Fprintf(out, "%s%10s%s  %s\n", faint, head, plain, line)
	}
}

// happened is the line of a simulation for people.
func happened(line []byte) []string {
	var l struct {
		Event    *string           `json:"event"`
		Advance  string            `json:"advance"`
		Entered  []string          `json:"entered"`
		Exited   []string          `json:"exited"`
		Effects  []json.RawMessage `json:"effects"`
		Ignored  bool              `json:"ignored"`
		Incident *events.Error     `json:"incident"`
	}
	if json.Unmarshal(line, &l) != nil {
		return nil
	}
	what := "start"
	switch {
	case l.Event != nil:
		what = *l.Event
	case l.Advance != "":
		what = "+" + l.Advance
	}
	if l.Ignored {
		return []string{what + ": ignored"}
	}
	out := []string{what}
	if len(l.Exited) > 0 {
		out = append(out, "left    "+strings.Join(l.Exited, " "))
	}
	if len(l.Entered) > 0 {
		out = append(out, "entered "+strings.Join(l.Entered, " "))
	}
	for _, e := range l.Effects {
		out = append(out, clip(string(e)))
	}
	if l.Incident != nil {
		out = append(out, "incident: "+l.Incident.Message)
	}
	return out
}

// clip keeps foreign text on its line, and control characters off the screen.
func clip(text string) string {
	const most = 100
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// durationText is a duration as definitions write it.
func durationText(d time.Duration) string {
	if d%time.Millisecond != 0 {
		d = d.Truncate(time.Millisecond) + time.Millisecond
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}
