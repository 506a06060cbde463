package cel

import (
	"errors"
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// The types of the variables that have names below them.
const (
	dataType     = "leat.Data"
	payloadType  = "leat.Payload"
	eventType    = "leat.Event"
	resultsType  = "leat.Results"
	instanceType = "leat.Instance"
)

// provider knows the fields of those types. Their values are always [fsm.Vars].
type provider struct {
	types.Provider
	fields map[string]map[string]*types.FieldType
}

func newProvider(base types.Provider, names Names) *provider {
	p := &provider{Provider: base, fields: map[string]map[string]*types.FieldType{
		dataType: {}, payloadType: {},
		eventType: {
			"name": always(cel.StringType, func(v fsm.Vars) (any, error) { return v.EventName(), nil }),
			"data": always(cel.DynType, func(v fsm.Vars) (any, error) { return v.EventData() }),
		},
		instanceType: {
			"id":      always(cel.StringType, func(v fsm.Vars) (any, error) { return v.Instance().ID.String(), nil }),
			"type":    always(cel.StringType, func(v fsm.Vars) (any, error) { return v.Instance().Type, nil }),
			"key":     always(cel.StringType, func(v fsm.Vars) (any, error) { return v.Instance().Key, nil }),
			"version": always(cel.IntType, func(v fsm.Vars) (any, error) { return int64(v.Instance().Version), nil }),
		},
	}}
	for name, kind := range names.Data {
		p.fields[dataType][name] = dataField(name, kind)
	}
	for _, name := range names.Payloads {
		p.fields[payloadType][name] = lookup(name, "payload."+name+" is not set", fsm.Vars.Payload)
	}
	return p
}

// FindStructType implements [types.Provider].
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.fields[name]; ok || name == resultsType {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements [types.Provider].
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ok := p.fields[name]
	if !ok {
		return p.Provider.FindStructFieldNames(name)
	}
	names := make([]string, 0, len(fields))
	for field := range fields {
		names = append(names, field)
	}
	slices.Sort(names)
	return names, true
}

// FindStructFieldType implements [types.Provider].
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name == resultsType {
		return lookup(field, "there is no result of task "+field, fsm.Vars.Result), true
	}
	if fields, ok := p.fields[name]; ok {
		f, ok := fields[field]
		return f, ok
	}
	return p.Provider.FindStructFieldType(name, field)
}

// always is a field that is set whenever its variable is.
func always(t *types.Type, get func(fsm.Vars) (any, error)) *types.FieldType {
	return &types.FieldType{
		Type:  t,
		IsSet: func(any) bool { return true },
		GetFrom: func(target any) (any, error) {
			vars, ok := target.(fsm.Vars)
			if !ok {
				return nil, errors.New("this is not a value")
			}
			return get(vars)
		},
	}
}

// lookup is a JSON field that may be missing.
func lookup(name, missing string, get func(fsm.Vars, string) (any, bool, error)) *types.FieldType {
	return &types.FieldType{
		Type: cel.DynType,
		IsSet: func(target any) bool {
			vars, ok := target.(fsm.Vars)
			if !ok {
				return false
			}
			_, found, _ := get(vars, name)
			return found
		},
		GetFrom: func(target any) (any, error) {
			vars, ok := target.(fsm.Vars)
			if !ok {
				return nil, errors.New("this is not a value")
			}
			value, found, err := get(vars, name)
			if err == nil && !found {
				err = fmt.Errorf("%s", missing)
			}
			return value, err
		},
	}
}

// dataField is an instance variable.
func dataField(name string, kind events.Kind) *types.FieldType {
	return &types.FieldType{
		Type: kindType(kind),
		IsSet: func(target any) bool {
			vars, ok := target.(fsm.Vars)
			if !ok {
				return false
			}
			_, set := vars.Data(name)
			return set
		},
		GetFrom: func(target any) (any, error) {
			vars, ok := target.(fsm.Vars)
			if !ok {
				return nil, errors.New("this is not a value")
			}
			value, set := vars.Data(name)
			if !set {
				return nil, fmt.Errorf("data.%s is not set", name)
			}
			return native(value), nil
		},
	}
}

func kindType(kind events.Kind) *types.Type {
	switch kind {
	case events.KindString:
		return cel.StringType
	case events.KindLong:
		return cel.IntType
	case events.KindDouble:
		return cel.DoubleType
	case events.KindBoolean:
		return cel.BoolType
	case events.KindStrings:
		return cel.ListType(cel.StringType)
	case events.KindMap:
		return cel.MapType(cel.StringType, cel.StringType)
	default:
		return cel.DynType
	}
}

// native is a variable's value as the adapter takes it.
func native(value events.ContextValue) any {
	switch value.Kind() {
	case events.KindString:
		return types.String(value.Str())
	case events.KindLong:
		return types.Int(value.Int())
	case events.KindDouble:
		return types.Double(value.Float())
	case events.KindBoolean:
		return types.Bool(value.Bool())
	case events.KindStrings:
		return value.List()
	case events.KindMap:
		return value.Dict()
	default:
		return nil
	}
}
