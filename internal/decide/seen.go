package decide

import (
	"slices"

	"github.com/leat-io/leat/pkg/events"
)

// seenNames are the names under which a command is recognised when it comes
// again. Reports of executors need none: their attempt number tells.
func seenNames(in Input) []events.UUID {
	c := in.Command
	if c == nil || isReport(c) {
		return nil
	}
	var names []events.UUID
	if in.Explicit {
		names = append(names, c.CommandID)
	}
	if c.IdempotencyKey != "" {
		names = append(names, events.DeriveUUID(events.Namespace, "idempotency/"+c.IdempotencyKey))
	}
	return names
}

func findSeen(snap *events.Snapshot, in Input) (events.SeenCommand, bool) {
	names := seenNames(in)
	for _, seen := range snap.Seen {
		if slices.Contains(names, seen.Name) {
			return seen, true
		}
	}
	return events.SeenCommand{}, false
}

// remember adds the command to those that the instance has seen.
func remember(seen []events.SeenCommand, in Input, sequence int64) []events.SeenCommand {
	names := seenNames(in)
	if len(names) == 0 {
		return seen
	}
	kept := slices.DeleteFunc(append(make([]events.SeenCommand, 0, len(seen)+len(names)), seen...),
		func(s events.SeenCommand) bool { return slices.Contains(names, s.Name) }) // what was held comes again
	for _, name := range names {
		kept = append(kept, events.SeenCommand{Name: name, Sequence: sequence})
	}
	return kept[max(0, len(kept)-events.MaxSeenCommands):]
}
