package tui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/leat-io/leat/internal/simulate"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// Simulate lets a person walk through a definition. It returns what was done, as
// the items that `leat def simulate --events` takes.
func Simulate(ctx context.Context, in io.Reader, out io.Writer, m *fsm.Machine, input json.RawMessage) ([]simulate.Item, error) {
	screen, err := newSimulator(m, input)
	if err != nil {
		return nil, err
	}
	last, err := tea.NewProgram(screen, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out)).Run()
	if err != nil && !errors.Is(err, tea.ErrInterrupted) {
		return nil, fmt.Errorf("show the simulation: %w", err)
	}
	if s, ok := last.(*simulator); ok {
		return s.items(), nil
	}
	return nil, nil
}

// moment is the simulation after one item.
type moment struct {
	sim  *simulate.Simulation
	item simulate.Item // that led here; zero for the start
	line []byte
}

// choice is one line that Enter acts on.
type choice struct {
	label string
	hint  string
	dim   bool
	item  simulate.Item // to be done, perhaps with data
	ask   question      // what is still missing
}

// question is what a prompt asks for.
type question uint8

const (
	askNothing  question = iota
	askEvent             // its name, then data
	askDuration          // by which the clock moves
	askData              // of item, JSON
	askCode              // of the error with which a task fails
)

// simulator is the screen. It changes only in Update.
type simulator struct {
	machine *fsm.Machine
	past    []moment // the last is now
	at      int      // the chosen line
	height  int

	asking  question
	pending simulate.Item
	typed   string
	said    string // the last thing that could not be done
}

func newSimulator(m *fsm.Machine, input json.RawMessage) (*simulator, error) {
	sim := simulate.New(m)
	line, err := sim.Begin(input)
	if parked := (*fsm.Incident)(nil); err != nil && !errors.As(err, &parked) {
		return nil, err
	}
	s := &simulator{machine: m, past: []moment{{sim: sim, line: line}}, height: 40}
	if err != nil {
		s.said = err.Error()
	}
	return s, nil
}

func (s *simulator) now() *moment { return &s.past[len(s.past)-1] }

func (s *simulator) items() []simulate.Item {
	items := make([]simulate.Item, 0, len(s.past))
	for _, m := range s.past[1:] {
		items = append(items, m.item)
	}
	return items
}

// Init implements [tea.Model].
func (s *simulator) Init() tea.Cmd { return nil }

// Update implements [tea.Model].
func (s *simulator) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch m := message.(type) {
	case tea.WindowSizeMsg:
		s.height = m.Height
	case tea.PasteMsg:
		if s.asking != askNothing {
			s.typed += m.Content
		}
	case tea.KeyPressMsg:
		return s, s.press(m.String(), m.Text)
	}
	return s, nil
}

// press handles one key; text is what it types.
func (s *simulator) press(key, text string) tea.Cmd {
	if key == "ctrl+c" {
		return tea.Quit
	}
	if s.asking != askNothing {
		s.edit(key, text)
		return nil
	}
	choices := s.choices()
	switch key {
	case "q", "esc":
		return tea.Quit
	case "up", "k":
		s.at = (s.at + len(choices) - 1) % len(choices)
	case "down", "j":
		s.at = (s.at + 1) % len(choices)
	case "home":
		s.at = 0
	case "end":
		s.at = len(choices) - 1
	case "u", "backspace", "left":
		s.undo()
	case "r":
		s.past, s.at, s.said = s.past[:1], 0, ""
	case "enter", "right":
		s.choose(choices[s.at], false)
	case "d":
		s.choose(choices[s.at], true)
	}
	return nil
}

func (s *simulator) undo() {
	s.said = "nothing to undo"
	if len(s.past) > 1 {
		s.past, s.at, s.said = s.past[:len(s.past)-1], 0, ""
	}
}

// choose does what a line says, or asks for what is missing first.
func (s *simulator) choose(c choice, withData bool) {
	s.said, s.typed, s.pending = "", "", c.item
	switch {
	case c.ask != askNothing:
		s.asking = c.ask
		if c.ask == askEvent {
			s.typed = strings.TrimSuffix(c.item.Event, "*")
			s.pending.Event = ""
		}
	case withData && c.item.Advance == "":
		s.asking = askData
	default:
		s.do(c.item)
	}
}

// edit handles a key while something is asked.
func (s *simulator) edit(key, text string) {
	switch key {
	case "esc":
		s.asking, s.said = askNothing, ""
	case "backspace":
		if r := []rune(s.typed); len(r) > 0 {
			s.typed = string(r[:len(r)-1])
		}
	case "ctrl+u":
		s.typed = ""
	case "enter":
		s.answer()
	default:
		s.typed += text
	}
}

// answer takes what was typed.
func (s *simulator) answer() {
	asked, typed, item := s.asking, strings.TrimSpace(s.typed), s.pending
	s.said = ""
	switch asked {
	case askEvent:
		name, data, _ := strings.Cut(typed, " ")
		item.Event = name
		typed = strings.TrimSpace(data)
	case askDuration:
		item.Advance, typed = typed, ""
	case askCode:
		code, message, _ := strings.Cut(typed, " ")
		if code == "" {
			code = "FAILED"
		}
		item.Error, typed = &events.Error{Code: code, Message: message, Retryable: false}, ""
	default:
	}
	if typed != "" {
		if !json.Valid([]byte(typed)) {
			s.said = "this is not JSON: " + typed
			return
		}
		if item.Task != "" {
			item.Result = json.RawMessage(typed)
		} else {
			item.Data = json.RawMessage(typed)
		}
	}
	s.asking = askNothing
	s.do(item)
}

// do lets one thing happen. What leads to an incident is shown and counts: the
// instance would be parked there.
func (s *simulator) do(item simulate.Item) {
	sim := s.now().sim.Clone()
	line, err := sim.Try(item)
	if err != nil {
		s.said = err.Error()
		return
	}
	s.past = append(s.past, moment{sim, item, line})
	s.at = min(s.at, len(s.choices())-1)
}

// choices are what can be done now.
func (s *simulator) choices() []choice {
	look := s.now().sim.Look()
	var out []choice
	for _, h := range look.Handlers {
		c := choice{label: h.Event, dim: !h.Reacts, item: simulate.Item{Event: h.Event}}
		if h.Pattern {
			c.ask = askEvent
		}
		if c.dim {
			c.hint = "a guard says no, or wants data: d"
		}
		out = append(out, c)
	}
	for _, t := range look.Tasks {
		if t.State == events.TaskScheduled || t.State == events.TaskRunning {
			out = append(out,
				choice{label: "complete " + t.ID, hint: t.Name, item: simulate.Item{Task: t.ID}},
				choice{label: "fail " + t.ID, hint: t.Name, item: simulate.Item{Task: t.ID}, ask: askCode})
		}
	}
	if len(look.Timers) > 0 {
		next := look.Timers[0]
		out = append(out, choice{label: "wait for " + next.Name, hint: "in " + next.In.String(), item: simulate.Item{Advance: durationText(next.In)}})
	}
	out = append(out,
		choice{label: "move the clock…", ask: askDuration},
		choice{label: "send another event…", ask: askEvent})
	return slices.Clip(out)
}
