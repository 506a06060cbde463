package avro

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// record is one of them, with its functions under one type.
type record struct {
	name   string
	full   func(t testing.TB) any // a pointer to a record in which every field is set
	encode func(any) ([]byte, error)
	append func([]byte, any) ([]byte, error)
	decode func([]byte) (any, error) // gives a pointer
}

func recordOf[T any](
	name string, fix func(*T), encode func(*T) ([]byte, error), appendTo func([]byte, *T) ([]byte, error), decode func([]byte) (T, error),
) record {
	return record{
		name: name,
		full: func(tb testing.TB) any {
			tb.Helper()
			r := new(T)
			(&filler{t: tb}).fill(name, reflect.ValueOf(r).Elem())
			fix(r)
			return r
		},
		encode: func(r any) ([]byte, error) { return encode(r.(*T)) },
		append: func(dst []byte, r any) ([]byte, error) { return appendTo(dst, r.(*T)) },
		decode: func(b []byte) (any, error) {
			r, err := decode(b)
			return &r, err
		},
	}
}

// records lists all of them. The functions make valid what distinct values alone do not.
func records() []record {
	return []record{
		recordOf("command", func(m *events.Command) {
			m.Command, m.Result.State = events.CommandResult, events.TaskFailed
			m.CausationID = m.CorrelationChain[len(m.CorrelationChain)-1]
		},
			EncodeCommand, AppendCommand, DecodeCommand),
		recordOf("event", func(e *events.Event) { e.CausationID = e.CorrelationChain[len(e.CorrelationChain)-1] },
			EncodeEvent, AppendEvent, DecodeEvent),
		recordOf("task", func(k *events.Task) { k.TaskName += ".do"; k.Queue = topics.QueueOf(k.TaskName) },
			EncodeTask, AppendTask, DecodeTask),
		recordOf("outcome", func(o *events.Outcome) { o.Status = events.OutcomeDescribed }, EncodeOutcome, AppendOutcome, DecodeOutcome),
		recordOf("snapshot", func(*events.Snapshot) {}, EncodeSnapshot, AppendSnapshot, DecodeSnapshot),
		recordOf("cancellation", func(*events.Cancellation) {}, EncodeCancellation, AppendCancellation, DecodeCancellation),
		recordOf("checkpoint", func(*events.Checkpoint) {}, EncodeCheckpoint, AppendCheckpoint, DecodeCheckpoint),
		recordOf("definition", func(*events.DefinitionRecord) {}, EncodeDefinition, AppendDefinition, DecodeDefinition),
		recordOf("schedule", func(s *events.ScheduleRecord) { s.Every += events.MinScheduleEvery; s.EndAt = s.StartAt.Add(time.Hour) },
			EncodeSchedule, AppendSchedule, DecodeSchedule),
		recordOf("node", func(n *events.NodeRecord) {
			n.NodeID = "a-" + n.NodeID
			n.Capacity, n.Load = asWords(n.Capacity), asWords(n.Load)
			n.Shares[0].Load, n.Shares[1].Load = asWords(n.Shares[0].Load), asWords(n.Shares[1].Load)
		},
			EncodeNode, AppendNode, DecodeNode),
		recordOf("audit", func(*events.AuditEvent) {}, EncodeAudit, AppendAudit, DecodeAudit),
		recordOf("subsystem", func(s *events.MCPSubsystem) {
			for i := range s.Tools {
				s.Tools[i].Name, s.Tools[i].Repeat = "tool-"+strconv.Itoa(i), "key:request"
				s.Approved[i].Name, s.Approved[i].Pin = s.Tools[i].Name, strings.Repeat("a", 64)
			}
		}, EncodeSubsystem, AppendSubsystem, DecodeSubsystem),
		recordOf("tool", func(k *events.MCPTool) {
			pin, err := k.ComputePin()
			if err != nil {
				panic(err)
			}
			k.Pin = pin
		}, EncodeTool, AppendTool, DecodeTool),
		recordOf("health", func(h *events.MCPHealth) {
			h.KeyHash = strings.Repeat("b", 64)
			for i := range h.Tools {
				h.Tools[i].Pin = strings.Repeat("c", 64)
			}
			h.Tools[0].Name, h.Tools[1].Name = "tool-0", "tool-1"
		}, EncodeHealth, AppendHealth, DecodeHealth),
		recordOf("progress", func(*events.ScheduleProgress) {}, EncodeProgress, AppendProgress, DecodeProgress),
	}
}

// asWords are amounts without the name that no resource may have.
func asWords(amounts map[string]int64) map[string]int64 {
	amounts["u"] = amounts["ü"]
	delete(amounts, "ü")
	return amounts
}

// values are one ContextValue of every kind, with neighbours that must not be confused.
func values() map[string]events.ContextValue {
	return map[string]events.ContextValue{
		"string": events.String("Köln ☕"), "empty": events.String(""), "long": events.Long(3), "min": events.Long(-1 << 63),
		"double": events.Double(3.0), "tiny": events.Double(5e-324), "true": events.Boolean(true), "one": events.Long(1),
		"false": events.Boolean(false), "strings": events.Strings([]string{"b", "", "a"}), "none": events.Strings(nil),
		"map": events.Map(map[string]string{"k": "v", "": ""}), "nomap": events.Map(nil),
	}
}

// filler sets every field of a record to a value that no other field has. It
// fails on a type that it does not know, so that a new kind of field cannot
// stay untested.
type filler struct {
	t testing.TB
	n int64
}

func (f *filler) fill(path string, v reflect.Value) {
	f.n++
	switch v.Interface().(type) {
	case events.UUID:
		v.Set(reflect.ValueOf(events.DeriveUUID(events.Namespace, strconv.FormatInt(f.n, 10))))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 9, 21, 10, 0, 0, 1000, time.UTC).Add(time.Duration(f.n) * time.Microsecond)))
		return
	case time.Duration:
		v.SetInt(f.n * int64(time.Millisecond))
		return
	case json.RawMessage:
		v.SetBytes(fmt.Appendf(nil, `{"n": %d}`, f.n))
		return
	case []byte:
		v.SetBytes([]byte{0, 0xFF, byte(f.n)})
		return
	case map[string]events.ContextValue:
		v.Set(reflect.ValueOf(values()))
		return
	}
	if all, closed := closedSets()[v.Type()]; closed {
		v.SetString(all[int(f.n)%len(all)])
		return
	}
	f.fillKind(path, v)
}

func (f *filler) fillKind(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", f.n))
	case reflect.Int32, reflect.Int64:
		v.SetInt(f.n)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(path, v.Index(0))
		f.fill(path, v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"b", "a", "ü"} {
			item := reflect.New(v.Type().Elem()).Elem()
			f.fill(path, item)
			v.SetMapIndex(reflect.ValueOf(key), item)
		}
	default:
		f.t.Fatalf("%s has type %s, which this test does not know: teach filler.fill, native and the codec", path, v.Type())
	}
}

// closedSets are the values of every enum type.
func closedSets() map[reflect.Type][]string {
	sets := map[reflect.Type][]string{}
	addSet(sets, events.CommandTypes())
	addSet(sets, events.EventTypes())
	addSet(sets, events.WorkflowStates())
	addSet(sets, events.TaskStates())
	addSet(sets, events.TaskTypes())
	addSet(sets, events.NodeTypes())
	addSet(sets, events.TaskPriorities())
	addSet(sets, events.ExecutionSemanticsSet())
	addSet(sets, events.DeliveryGuarantees())
	addSet(sets, events.IsolationLevels())
	addSet(sets, events.OutcomeStatuses())
	addSet(sets, events.TimerKinds())
	addSet(sets, events.OverlapPolicies())
	addSet(sets, events.ParentClosePolicies())
	addSet(sets, events.MCPSubsystemTypes())
	addSet(sets, events.MCPToolTypes())
	addSet(sets, events.MCPTrusts())
	addSet(sets, events.MCPLifecycleStates())
	addSet(sets, events.MCPConnectionStatuses())
	addSet(sets, events.HealthStatuses())
	addSet(sets, events.CircuitBreakerStates())
	addSet(sets, events.MCPReasons())
	return sets
}

func addSet[E ~string](sets map[reflect.Type][]string, set []E) {
	for _, v := range set {
		sets[reflect.TypeFor[E]()] = append(sets[reflect.TypeFor[E]()], string(v))
	}
}

// wireName is the name of a Go field in the schema: its JSON name, or the one
// of its wire tag, and _ms for a duration.
func wireName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if wire := f.Tag.Get("wire"); wire != "" {
		name = wire // what JSON must not show
	}
	if f.Type == reflect.TypeFor[time.Duration]() {
		name += "_ms"
	}
	return name
}

// mustEncode encodes a record that must be valid.
func mustEncode(tb testing.TB, r record, v any) []byte {
	tb.Helper()
	b, err := r.encode(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
