package decide

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// notInScripts are the keys that no script leads to, and why. All are in the
// histories of [TestEveryHistoryReplaysThroughResetsAndMigrations], or in those of
// the simulations.
var notInScripts = []string{
	"MigrationData.migrated_from", "MigrationData.migrated_to", // the scripts know one version
	"ResetData.reset_to", "ResetData.state", "ResetData.from", "ResetData.active", // a reset carries a history
	"ParentData.root", // the parents of scripts are those of earlier versions
	"TaskFailedData.retry_after_ms", "TaskSkippedData.node_id",
}

// The scripts reach every key that the kinds of events declare, so that each is
// seen with what leads to it.
func TestScriptsReachEveryKey(t *testing.T) {
	declared, reached := make(map[string]bool), make(map[string]bool)
	kinds := make(map[events.EventType]events.EventKind)
	for _, kind := range events.EventKinds() {
		kinds[kind.Type] = kind
		if kind.Data != nil {
			declareKeys(reflect.TypeOf(kind.Data), declared)
		}
		if kind.Payload != "" {
			declared[reflect.TypeOf(kind.Data).Name()+" payload"] = true
		}
	}
	declareKeys(reflect.TypeFor[events.EventMetadata](), declared)
	runScripts(t, func(e *events.Event) {
		reach(t, kinds[e.EventType].Data, e.Data, reached)
		reach(t, events.EventMetadata{}, e.Metadata, reached)
		if e.Payload != nil {
			reached[reflect.TypeOf(kinds[e.EventType].Data).Name()+" payload"] = true
		}
	})
	for key := range declared {
		switch waits := slices.Contains(notInScripts, key); {
		case !reached[key] && !waits:
			t.Errorf("%s: no script leads to it", key)
		case reached[key] && waits:
			t.Errorf("%s: a script leads to it now, take it out of notInScripts", key)
		}
	}
	for _, key := range notInScripts {
		if !declared[key] {
			t.Errorf("%s is declared by no kind, take it out of notInScripts", key)
		}
	}
}

// declareKeys notes the keys that a struct and those in it declare, as TYPE.KEY.
func declareKeys(of reflect.Type, declared map[string]bool) {
	for f := range of.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("data"), ",")
		switch {
		case key != "":
			declared[of.Name()+"."+key] = true
		case f.Type.Kind() == reflect.Pointer:
			declareKeys(f.Type.Elem(), declared)
		default:
			declareKeys(f.Type, declared)
		}
	}
}

// reach notes the keys that an event has.
func reach(t *testing.T, kind any, data map[string]events.ContextValue, reached map[string]bool) {
	t.Helper()
	if kind == nil {
		return
	}
	read := reflect.New(reflect.TypeOf(kind))
	if err := events.DecodeData(data, read.Interface()); err != nil {
		t.Error(err)
	}
	reachKeys(read.Elem(), data, reached)
}

func reachKeys(v reflect.Value, data map[string]events.ContextValue, reached map[string]bool) {
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("data"), ",")
		_, given := data[key]
		switch inner := v.Field(i); {
		case key != "" && given:
			reached[v.Type().Name()+"."+key] = true
		case key == "" && (inner.Kind() != reflect.Pointer || !inner.IsNil()):
			reachKeys(reflect.Indirect(inner), data, reached)
		}
	}
}
