package decide

import (
	"maps"
	"slices"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// secretReference begins the reference to a secret by its name. What is behind
// it is resolved where a task runs; an instance never holds it.
const secretReference = "secret/"

// declare writes what a definition says about its instances into a snapshot,
// so that a reader of the snapshot need not know the definition.
func declare(s *events.Snapshot, m *fsm.Machine) {
	def := m.Definition()
	s.Isolation = def.Isolation
	if s.Isolation == "" {
		s.Isolation = events.ReadCommitted
	}
	s.Limits = maps.Clone(def.Limits)
	s.Search = slices.Clone(def.Search)
	s.Secrets = nil
	for _, name := range def.Secrets {
		if s.Secrets == nil {
			s.Secrets = make(map[string]string, len(def.Secrets))
		}
		s.Secrets[name] = secretReference + name
	}
}
