// Package config is what can be set of the programs of Leat, and where a value
// comes from: flag, environment, file or default.
package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/problem"
)

// DefaultFile is read from the current directory when --config is not given.
const DefaultFile = "leat.yaml"

// Settings are the values of every setting of one program, and where each came
// from. Flag beats environment beats file beats default.
type Settings struct {
	role   string
	known  []setting
	values map[string]any
	source map[string]string
}

// AddFlags gives a program its flags.
func AddFlags(flags *pflag.FlagSet, role string) {
	flags.String("config", "", "configuration file (default: "+DefaultFile+" in the current directory, when there is one)")
	addFlags(flags, func(s setting) bool { return s.has(role) && (role != "leat" || s.only == "") })
}

// AddCommandFlags gives a command of leat the flags that it alone has.
func AddCommandFlags(flags *pflag.FlagSet, command string) {
	addFlags(flags, func(s setting) bool { return s.has("leat") && s.of(command) })
}

func addFlags(flags *pflag.FlagSet, wanted func(setting) bool) {
	for _, s := range settings() {
		if !wanted(s) {
			continue
		}
		switch v := s.value.(type) {
		case string:
			flags.String(s.flagName(), v, s.usage)
		case int:
			flags.Int(s.flagName(), v, s.usage)
		case bool:
			flags.Bool(s.flagName(), v, s.usage)
		case time.Duration:
			flags.Duration(s.flagName(), v, s.usage)
		case []string:
			if s.key == "exec" || s.key == "mcp-command" || s.key == "mcp-env" { // a command line may hold commas
				flags.StringArray(s.flagName(), v, s.usage)
			} else {
				flags.StringSlice(s.flagName(), v, s.usage)
			}
		}
	}
}

// Load reads the settings of a program. flags are those of AddFlags, parsed;
// environ is os.Environ(). The error is a *problem.Problem.
func Load(role string, flags *pflag.FlagSet, environ []string) (*Settings, error) {
	s := &Settings{role: role, values: make(map[string]any), source: make(map[string]string)}
	for _, k := range settings() {
		if k.has(role) {
			s.known = append(s.known, k)
			s.values[k.key], s.source[k.key] = k.value, "default"
		}
	}
	path, asked := configFile(flags, environ)
	if err := s.readFile(path, asked); err != nil {
		return nil, err
	}
	if err := s.readEnvironment(environ); err != nil {
		return nil, err
	}
	return s, s.readFlags(flags)
}

func configFile(flags *pflag.FlagSet, environ []string) (path string, asked bool) {
	if f := flags.Lookup("config"); f != nil && f.Changed {
		return f.Value.String(), true
	}
	for _, pair := range environ {
		if path, ok := strings.CutPrefix(pair, "LEAT_CONFIG="); ok && path != "" {
			return path, true
		}
	}
	return DefaultFile, false
}

func (s *Settings) readFile(path string, asked bool) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && !asked {
		return nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return problem.Wrap(problem.BadConfigFile, "cannot read configuration file "+path, err)
	}
	for _, key := range k.Keys() {
		if err := checkKey(path, key); err != nil {
			return err
		}
		if i := slices.IndexFunc(s.known, func(k setting) bool { return k.key == key }); i >= 0 {
			if err := s.set(s.known[i], k.Get(key), path); err != nil {
				return err
			}
		} // else it is for another program that shares the file
	}
	return nil
}

func checkKey(path, key string) error {
	var known []string
	for _, k := range settings() {
		if k.key == key {
			return nil
		}
		known = append(known, k.key)
	}
	p := problem.New(problem.UnknownSetting, fmt.Sprintf("configuration file %s has an unknown key %q", path, key), "no program of Leat reads it", "")
	if near := problem.Suggest(key, known); near != "" {
		p.Fix = fmt.Sprintf("did you mean %q?", near)
	}
	return p
}

func (s *Settings) readEnvironment(environ []string) error {
	names := make(map[string]setting)
	for _, k := range s.known {
		if k.alias != "" {
			names[k.alias] = k
		}
		names[k.variable()] = k
	}
	k := koanf.New("\x00")
	err := k.Load(env.Provider("\x00", env.Opt{
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if _, ok := names[name]; !ok || value == "" {
				return "", nil
			}
			return name, value
		},
	}), nil)
	if err != nil {
		return problem.Wrap(problem.Internal, "cannot read the environment", err)
	}
	// LEAT_ beats KAFKA_: the narrower name.
	found := k.Keys()
	slices.SortStableFunc(found, func(a, b string) int {
		return btoi(strings.HasPrefix(a, "LEAT_")) - btoi(strings.HasPrefix(b, "LEAT_"))
	})
	for _, name := range found {
		if err := s.set(names[name], k.Get(name), name); err != nil {
			return err
		}
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *Settings) readFlags(flags *pflag.FlagSet) error {
	for _, k := range s.known {
		f := flags.Lookup(k.flagName())
		if f == nil || !f.Changed {
			continue
		}
		var value any = f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = list.GetSlice()
		}
		if err := s.set(k, value, "--"+k.flagName()); err != nil {
			return err
		}
	}
	return nil
}

// set converts a value to the setting's kind.
func (s *Settings) set(k setting, value any, source string) error {
	converted, err := convert(k.value, value)
	if err != nil {
		shown := fmt.Sprint(value)
		if k.secret {
			shown = masked
		}
		return problem.New(problem.BadSetting, fmt.Sprintf("setting %s has the value %q", k.key, shown),
			fmt.Sprintf("%s (from %s)", err, source), "correct it: "+k.usage)
	}
	if k.key == "kafka.brokers" {
		if converted = named(converted); converted == nil {
			return explain.NoBroker(fmt.Sprintf("setting kafka.brokers (from %s) has the value %q", source, fmt.Sprint(value)))
		}
	}
	s.values[k.key], s.source[k.key] = converted, source
	return nil
}

// named is a list without the items that are empty; nil when none is left.
func named(list any) any {
	var out []string
	if items, ok := list.([]string); ok {
		for _, item := range items {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
	}
	if out == nil {
		return nil
	}
	return out
}

func convert(kind, value any) (any, error) {
	text := strings.TrimSpace(fmt.Sprint(value))
	switch kind.(type) {
	case string:
		return text, scalar(value)
	case int:
		n, err := strconv.Atoi(text)
		return n, reason(err, "want a whole number")
	case bool:
		b, err := strconv.ParseBool(text)
		return b, reason(err, "want true or false")
	case time.Duration:
		d, err := time.ParseDuration(text)
		return d, reason(err, "want a duration such as 30s or 2m")
	default:
		return list(value)
	}
}

func scalar(value any) error {
	switch value.(type) {
	case []any, map[string]any, nil:
		return errors.New("want one value")
	}
	return nil
}

func reason(err error, text string) error {
	if err != nil {
		return errors.New(text)
	}
	return nil
}

// list takes a YAML list, a list of flags, or a text with commas.
func list(value any) ([]string, error) {
	var out []string
	switch v := value.(type) {
	case []string:
		return v, nil
	case []any:
		for _, item := range v {
			if err := scalar(item); err != nil {
				return nil, err
			}
			out = append(out, fmt.Sprint(item))
		}
	case string:
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
	default:
		return nil, errors.New("want a list")
	}
	return out, nil
}
