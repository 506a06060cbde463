package projector

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// maxConditions bounds the conditions of one query.
const maxConditions = 10

// conditions reads the conditions of a query on one type. The definitions say
// of what kind the data is, and which of it can be searched.
func (p *Projector) conditions(workflowType string, texts []string) ([]views.Where, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	bad := func(err error, fix string) error {
		b := badRequest("A condition cannot be used", err)
		if fix != "" {
			b.Fix = fix
		}
		return b
	}
	if workflowType == "" {
		return nil, bad(errors.New("where needs a type: each has its own data"), "name the workflow type")
	}
	if len(texts) > maxConditions {
		return nil, bad(fmt.Errorf("there are %d conditions, at most %d", len(texts), maxConditions), "")
	}
	kinds := p.searchKinds(workflowType)
	list := make([]views.Where, 0, len(texts))
	for _, text := range texts {
		c, err := events.ParseCondition(text)
		if err != nil {
			return nil, bad(err, "write it as amount > 100, sku = 'A 7' or city ^= Nov")
		}
		kind, ok := kinds[c.Name]
		if !ok {
			return nil, bad(fmt.Errorf("no deployed version of %q declares %q under search", workflowType, c.Name), searchFix(c.Name, kinds))
		}
		if err := c.Check(kind); err != nil {
			return nil, bad(err, "")
		}
		list = append(list, views.Where{Condition: c, Kind: kind})
	}
	return list, nil
}

// searchKinds are the names of a type's data that can be searched. When the
// versions differ about a kind, the newest counts.
func (p *Projector) searchKinds(workflowType string) map[string]events.Kind {
	kinds := make(map[string]events.Kind)
	for _, record := range p.registry.Records() { // versions of a type rise
		m, ok := p.registry.Machine(workflowType, record.Version)
		if record.WorkflowType != workflowType || !ok || m == nil {
			continue
		}
		def := m.Definition()
		for _, name := range def.Search {
			if i := slices.IndexFunc(def.Data, func(v fsm.Variable) bool { return v.Name == name }); i >= 0 {
				kinds[name] = def.Data[i].Kind
			}
		}
	}
	return kinds
}

func searchFix(name string, kinds map[string]events.Kind) string {
	names := make([]string, 0, len(kinds))
	for n := range kinds {
		names = append(names, n)
	}
	slices.Sort(names)
	switch near := problem.Suggest(name, names); {
	case near != "":
		return "did you mean " + near + "?"
	case len(names) == 0:
		return "declare it in the definition: search: [" + name + "]"
	default:
		return "these can be searched: " + strings.Join(names, ", ")
	}
}
