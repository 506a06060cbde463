package fsm

import (
	"maps"
)

// remember records, before a state is left, what its history states keep: the
// active children, or for a deep one the active atomic states below it.
func (s *step) remember(i int) {
	for _, h := range s.m.states[i].histories {
		var ids []string
		if s.m.states[h].deep {
			end := s.m.states[i].end
			for j := s.config.next(i + 1); j >= 0 && j < end; j = s.config.next(j + 1) {
				if s.m.states[j].leaf() {
					ids = append(ids, s.m.states[j].id)
				}
			}
		} else {
			for _, child := range s.m.states[i].children {
				if s.config.has(child) {
					ids = append(ids, s.m.states[child].id)
				}
			}
		}
		if !s.owns.history {
			s.owns.history = true
			s.chart.History = maps.Clone(s.chart.History)
		}
		if s.chart.History == nil {
			s.chart.History = make(map[string][]string)
		}
		s.chart.History[s.m.states[h].id] = ids
	}
}

// historyTargets is where a history state leads: to what it remembers, else to
// its default. What it remembers of an older version and is gone is left out.
func (s *step) historyTargets(h int) []int {
	state := &s.m.states[h]
	var targets []int
	for _, id := range s.chart.History[state.id] {
		if i, ok := s.m.index[id]; ok && s.m.within(i, state.parent) {
			targets = append(targets, i)
		}
	}
	if len(targets) > 0 {
		return targets
	}
	return state.target.targets
}

// effectiveTargets replaces history states by where they lead (appendix D:
// getEffectiveTargetStates). With t it may answer from what t knows.
func (s *step) effectiveTargets(targets []int, t *transition) []int {
	if t != nil && !t.hasHistory {
		return targets
	}
	var out []int
	for _, target := range targets {
		if s.m.states[target].kind == History {
			out = append(out, s.effectiveTargets(s.historyTargets(target), nil)...)
		} else {
			out = append(out, target)
		}
	}
	return out
}
