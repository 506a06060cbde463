package def

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/cli/input"
	"github.com/leat-io/leat/internal/cli/session"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/fsm"
)

// migration is what `leat def migrate` was asked to do, and what it did.
type migration struct {
	Type     string                 `json:"type"`
	From     int32                  `json:"from"`
	To       int32                  `json:"to"`
	States   map[string]string      `json:"states,omitempty"`
	Findings []fsm.MigrationFinding `json:"findings"`
	DryRun   bool                   `json:"dry_run,omitempty"`
	Found    int                    `json:"found"` // instances on version From that are not finished
	Moved    int                    `json:"moved"`
	Refused  []refusal              `json:"refused"`

	reason string
	atOnce int
}

// refusal is an instance that could not be moved.
type refusal struct {
	InstanceID string `json:"instance_id"`
	Key        string `json:"key,omitempty"`
	Why        string `json:"why"`
}

func (a *app) migrateCommand() *cobra.Command {
	m := migration{Findings: []fsm.MigrationFinding{}, Refused: []refusal{}}
	var pairs []string
	var file, state, key string
	cmd := &cobra.Command{
		Use: "migrate TYPE --from VERSION --to VERSION", Short: "Move running workflows to another version", Args: cobra.ExactArgs(1),
		Long: "Move running workflows to another version of their definition. The mapping of states is checked first: every state that\n" +
			"a workflow can be in needs a state in the new version (by default the one of the same name). Tasks and timers that the\n" +
			"new version also has go on, others are cancelled, new ones begin. Each workflow is moved by a command of its own, and\n" +
			"one that cannot be moved stays on its version.",
		Example: "  leat def migrate order --from 1 --to 2 --dry-run\n  leat def migrate order --from 1 --to 2 --map charging=paying --map packing=warehouse\n" +
			"  leat def migrate order --from 1 --to 2 --map-file states.json --state packing -o json",
		ValidArgsFunction: a.CompleteType,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			m.Type = args[0]
			if m.From < 1 || m.To < 1 || m.From == m.To {
				return problem.New(problem.Usage, "--from and --to name two versions", fmt.Sprintf("they are %d and %d", m.From, m.To), "leat def list shows what is deployed")
			}
			if m.States, err = a.mapping(pairs, file); err != nil {
				return err
			}
			return a.With(cmd.Context(), session.Kafka, true, func(ctx context.Context, c *client.Client) error {
				return a.migrate(ctx, c, &m, state, key)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Int32Var(&m.From, "from", 0, "version that the workflows run on")
	flags.Int32Var(&m.To, "to", 0, "version to move them to")
	flags.StringArrayVar(&pairs, "map", nil, "OLD=NEW: the new state for an old one; may be repeated")
	flags.StringVar(&file, "map-file", "", "JSON object of old to new states, - for standard input")
	flags.StringVar(&state, "state", "", "only workflows in this state")
	flags.StringVar(&key, "key", "", "only the workflow with this business key or id")
	flags.StringVar(&m.reason, "reason", "", "reason, for the history and the audit")
	flags.BoolVar(&m.DryRun, "dry-run", false, "check the mapping and count, and change nothing")
	flags.IntVar(&m.atOnce, "parallel", 32, "how many are moved at once")
	return cmd
}

// mapping reads the mapping of states from flags and a file; flags win.
func (a *app) mapping(pairs []string, file string) (map[string]string, error) {
	states := make(map[string]string)
	if file != "" {
		text, err := input.Text(a.In, file)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &states); err != nil {
			return nil, problem.New(problem.BadJSON, file+" is not a JSON object of old to new states", err.Error(), `such as {"charging": "paying"}`)
		}
	}
	for _, pair := range pairs {
		from, to, found := strings.Cut(pair, "=")
		if !found || from == "" || to == "" {
			return nil, problem.New(problem.Usage, fmt.Sprintf("--map %q is not OLD=NEW", pair), "", "--map charging=paying")
		}
		states[from] = to
	}
	return states, nil
}

func (a *app) migrate(ctx context.Context, c *client.Client, m *migration, state, key string) error {
	from, err := deployedMachine(ctx, c, m.Type, m.From)
	if err != nil {
		return err
	}
	to, err := deployedMachine(ctx, c, m.Type, m.To)
	if err != nil {
		return err
	}
	fatal := false
	if found := from.CheckMigration(to, m.States); found != nil {
		m.Findings = found
	}
	for _, f := range m.Findings {
		fatal = fatal || f.Fatal
	}
	if fatal {
		if err := a.Print.Value(m, func(w io.Writer) { showMoving(w, m.Findings) }); err != nil {
			return err
		}
		return problem.New(problem.MappingInvalid, fmt.Sprintf("%s@%d cannot be moved to version %d with this mapping", m.Type, m.From, m.To), "", "")
	}
	list, err := a.running(ctx, c, m, state, key)
	if err != nil {
		return err
	}
	if m.Found = len(list); !m.DryRun {
		if err := a.moveAll(ctx, c, m, list); err != nil {
			return err
		}
	}
	if err := a.Print.Value(m, func(w io.Writer) { showMigration(w, m) }); err != nil || len(m.Refused) == 0 {
		return err
	}
	return problem.New(problem.CommandRejected, fmt.Sprintf("%d of %d workflows were not moved", len(m.Refused), m.Found), "", "they stay on their version; see the reasons above")
}

// running lists the instances to move.
func (a *app) running(ctx context.Context, c *client.Client, m *migration, state, key string) ([]client.Instance, error) {
	if key != "" {
		s, err := c.Get(ctx, m.Type, key, client.GetOptions{})
		if err != nil {
			return nil, err
		}
		if s.State.Finished() || s.Version != m.From {
			return nil, nil
		}
		return []client.Instance{s}, nil
	}
	var list []client.Instance
	r := client.ListRequest{Type: m.Type, State: state, Limit: 1000}
	for {
		page, err := c.List(ctx, r)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			if s := &page.Items[i]; !s.State.Finished() && s.Version == m.From {
				list = append(list, *s)
			}
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			return list, nil
		}
	}
}

// moveAll moves instances, a bounded number at once. Only the end of ctx stops it.
func (a *app) moveAll(ctx context.Context, c *client.Client, m *migration, list []client.Instance) error {
	bar := io.Discard
	if ops.IsTerminal(a.Err) {
		bar = a.Err
	}
	progress := progressbar.NewOptions(len(list), progressbar.OptionSetWriter(bar), progressbar.OptionShowCount(), progressbar.OptionSetDescription("moving"), progressbar.OptionClearOnFinish())
	var mu sync.Mutex
	var workers sync.WaitGroup
	slots := make(chan struct{}, max(1, m.atOnce))
	for i := range list {
		slots <- struct{}{}
		workers.Go(func() {
			defer func() { <-slots }()
			s := &list[i]
			_, err := c.Do(ctx, client.MigrateRequest{Type: m.Type, InstanceID: s.InstanceID, Version: m.To, States: m.States, Reason: m.reason})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				m.Moved++
			} else {
				m.Refused = append(m.Refused, refusal{InstanceID: s.InstanceID.String(), Key: s.Key, Why: whyRefused(err)})
			}
			_ = progress.Add(1)
		})
	}
	workers.Wait()
	_ = progress.Finish()
	return ctx.Err()
}

func whyRefused(err error) string {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Message
	}
	return err.Error()
}

func showMigration(w io.Writer, m *migration) {
	showMoving(w, m.Findings)
	if m.DryRun {
		_, _ = fmt.Fprintf(w, "%d workflows would be moved from %s@%d to version %d\n", m.Found, m.Type, m.From, m.To)
		return
	}
	_, _ = fmt.Fprintf(w, "%d of %d workflows moved from %s@%d to version %d\n", m.Moved, m.Found, m.Type, m.From, m.To)
	for _, r := range m.Refused {
		_, _ = fmt.Fprintf(w, "  %s: %s\n", cmp.Or(r.Key, r.InstanceID), r.Why)
	}
}
