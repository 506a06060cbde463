package cel

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// program is a compiled expression.
type program struct {
	p       cel.Program
	counted bool // its cost is limited, and known afterwards
}

// Eval implements [fsm.Program].
func (p program) Eval(vars fsm.Vars) (any, error) {
	out, details, err := p.p.Eval(activation{vars})
	if p.counted {
		vars.Spend(spent(details, err))
	}
	if err != nil {
		return nil, clearer(err)
	}
	switch v := out.(type) { // the common ones without a call
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.String:
		return string(v), nil
	}
	left := maxValues
	return plain(out, 0, &left)
}

// spent is what an evaluation cost. One that was ended has no details: it cost
// all that it may.
func spent(details *cel.EvalDetails, err error) uint64 {
	if details != nil {
		if cost := details.ActualCost(); cost != nil {
			return *cost
		}
	}
	if err != nil && strings.Contains(err.Error(), "cost limit") {
		return MaxCost
	}
	return 0
}

// clearer says what the commonest error of JSON values means.
func clearer(err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "no such overload"); ok {
		name = strings.Trim(strings.TrimPrefix(name, ": "), "_")
		return fmt.Errorf("%s cannot be applied: a value is null or of another type", cmp.Or(name, "an operator"))
	}
	return err
}

// activation lets an expression see vars.
type activation struct{ vars fsm.Vars }

var _ interpreter.Activation = activation{}

// Parent implements [interpreter.Activation].
func (a activation) Parent() interpreter.Activation { return nil }

// ResolveName implements [interpreter.Activation].
func (a activation) ResolveName(name string) (any, bool) {
	switch name {
	case "data", "event", "payload", "results", "instance":
		return a.vars, true
	case "input":
		value, err := a.vars.Input()
		return orError(value, err), true
	case "now":
		return types.Timestamp{Time: a.vars.Now()}, true
	case selfName:
		return selfVal{a.vars}, true
	default:
		return nil, false
	}
}

func orError(value any, err error) any {
	if err != nil {
		return types.NewErr("%v", err)
	}
	return value
}

// maxNesting bounds the depth of a value that an expression yields.
const maxNesting = 64

// maxValues bounds how many values there are in one: each takes a byte of JSON
// at least, so that no payload can hold more. A list that holds the same list
// 20,000 times is small until it is copied.
const maxValues = events.MaxPayloadLength

// plain makes a Go value of a CEL value, as [fsm.Program] promises.
func plain(value ref.Val, depth int, left *int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("the value is nested more than %d deep", maxNesting)
	}
	if *left--; *left < 0 {
		return nil, fmt.Errorf("the value holds more than %d values", maxValues)
	}
	switch v := value.(type) {
	case traits.Mapper:
		return plainMap(v, depth, left)
	case traits.Lister:
		return plainList(v, depth, left)
	default:
		return plainScalar(value)
	}
}

func plainScalar(value ref.Val) (any, error) {
	switch v := value.(type) {
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		if v > math.MaxInt64 {
			return json.Number(strconv.FormatUint(uint64(v), 10)), nil
		}
		return int64(v), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		return string(v), nil
	case types.Bytes:
		return base64.StdEncoding.EncodeToString(v), nil
	case types.Null:
		return nil, nil
	case types.Timestamp:
		return v.Time, nil
	case types.Duration:
		return v.Duration, nil
	case exact:
		return json.Number(v), nil
	default:
		return nil, fmt.Errorf("a value of type %s is not data", value.Type().TypeName())
	}
}

func plainList(list traits.Lister, depth int, left *int) (any, error) {
	out := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		item, err := plain(it.Next(), depth+1, left)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

func plainMap(m traits.Mapper, depth int, left *int) (any, error) {
	out := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, fmt.Errorf("a key of type %s: the keys of a map are strings", key.Type().TypeName())
		}
		value, err := plain(m.Get(key), depth+1, left)
		if err != nil {
			return nil, err
		}
		out[string(name)] = value
	}
	return out, nil
}

// adapter makes maps that are walked by key, so that an expression gives the
// same answer each time; everything else is the registry's.
type adapter struct{ types.Adapter }

// NativeToValue implements [types.Adapter].
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case map[string]any:
		return sortedMap{types.NewStringInterfaceMap(a, v)}
	case map[string]string:
		return sortedMap{types.NewStringStringMap(a, v)}
	case []any:
		return types.NewDynamicList(a, v)
	case []string:
		return types.NewStringList(a, v)
	case json.Number:
		return exact(v)
	case time.Time:
		return types.Timestamp{Time: v}
	case fsm.Vars:
		return types.NewErr("this is not a value")
	}
	out := a.Adapter.NativeToValue(value)
	if m, ok := out.(traits.Mapper); ok {
		if _, done := m.(sortedMap); !done {
			return sortedMap{m}
		}
	}
	return out
}

// sortedMap is a map whose keys come in order. It hides the faster walks of the
// map inside, which come in none.
type sortedMap struct{ traits.Mapper }

// Iterator implements [traits.Iterable].
func (m sortedMap) Iterator() traits.Iterator {
	var keys []ref.Val
	for it := m.Mapper.Iterator(); it.HasNext() == types.True; {
		keys = append(keys, it.Next())
	}
	sort.SliceStable(keys, func(i, j int) bool { return before(keys[i], keys[j]) })
	return &keyIterator{keys: keys}
}

// Equal implements [ref.Val]: it looks through the wrapper of the other side.
func (m sortedMap) Equal(other ref.Val) ref.Val {
	if o, ok := other.(sortedMap); ok {
		other = o.Mapper
	}
	return m.Mapper.Equal(other)
}

// before orders keys by type, then by value.
func before(a, b ref.Val) bool {
	if a.Type() != b.Type() {
		return a.Type().TypeName() < b.Type().TypeName()
	}
	if c, ok := a.(traits.Comparer); ok {
		return c.Compare(b) == types.IntNegOne
	}
	return false
}

// sortedLiteral is a map literal whose keys come in order.
type sortedLiteral struct {
	interpreter.InterpretableConstructor
}

// sortLiterals replaces map literals when an expression is planned.
func sortLiterals(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if literal, ok := i.(interpreter.InterpretableConstructor); ok && literal.Type() == types.MapType {
		return sortedLiteral{literal}, nil
	}
	return i, nil
}

// Exec implements [interpreter.InterpretableV2].
func (l sortedLiteral) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	out := l.InterpretableConstructor.Exec(frame)
	if m, ok := out.(traits.Mapper); ok {
		return sortedMap{m}
	}
	return out
}

// Eval implements [interpreter.Interpretable].
func (l sortedLiteral) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, l.Exec)
}

// keyIterator walks keys.
type keyIterator struct {
	keys []ref.Val
	next int
}

// HasNext implements [traits.Iterator].
func (i *keyIterator) HasNext() ref.Val { return types.Bool(i.next < len(i.keys)) }

// Next implements [traits.Iterator].
func (i *keyIterator) Next() ref.Val {
	key := i.keys[i.next]
	i.next++
	return key
}

// ConvertToNative implements [ref.Val].
func (i *keyIterator) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("an iterator is not data")
}

// ConvertToType implements [ref.Val].
func (i *keyIterator) ConvertToType(ref.Type) ref.Val { return types.NewErr("no such overload") }

// Equal implements [ref.Val].
func (i *keyIterator) Equal(ref.Val) ref.Val { return types.NewErr("no such overload") }

// Type implements [ref.Val].
func (i *keyIterator) Type() ref.Type { return types.IteratorType }

// Value implements [ref.Val].
func (i *keyIterator) Value() any { return nil }

// selfName is the hidden variable that active() asks; selfVal is its value.
const selfName = "@self"

var selfType = cel.OpaqueType("leat.Self")

type selfVal struct{ fsm.Vars }

// ConvertToNative implements [ref.Val].
func (s selfVal) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s is not data", selfName)
}

// ConvertToType implements [ref.Val].
func (s selfVal) ConvertToType(ref.Type) ref.Val { return types.NewErr("no such overload") }

// Equal implements [ref.Val].
func (s selfVal) Equal(ref.Val) ref.Val { return types.False }

// Type implements [ref.Val].
func (s selfVal) Type() ref.Type { return selfType }

// Value implements [ref.Val].
func (s selfVal) Value() any { return s }

func contains(list []string, name string) bool { return slices.Contains(list, name) }

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
