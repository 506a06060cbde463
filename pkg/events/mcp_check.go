package events

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Validate checks every field by itself. Problems says whether they fit together.
func (s *MCPSubsystem) Validate() error { return firstError(s.fieldProblems()...) }

// Problems lists every field that is wrong or does not fit to another, with the
// path as it is on the wire. The errors are of type *[FieldError]. Executors do
// not use a subsystem that has any.
func (s *MCPSubsystem) Problems() (all []error) {
	for _, err := range slices.Concat(s.fieldProblems(), s.reachProblems(), s.keyProblems()) {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

func (s *MCPSubsystem) fieldProblems() []error {
	return slices.Concat(s.identityProblems(), s.limitProblems(), s.toolProblems(), []error{
		checkTime("registered_at", s.RegisteredAt), checkTime("updated_at", s.UpdatedAt),
	})
}

func (s *MCPSubsystem) identityProblems() []error {
	all := []error{
		CheckSubsystemID("subsystem_id", s.SubsystemID),
		checkShort("name", s.Name, true),
		checkEnum("type", s.Type, MCPSubsystemTypes()),
		checkShort("version", s.Version, true),
		checkLength("description", s.Description, MaxMCPDescription),
		checkEnum("trust", s.Trust, MCPTrusts()),
		checkShort("effects", s.Effects, false),
		checkRange("weight", int64(s.Weight), 1, MaxMCPWeight),
	}
	return append(all, checkTags("tags", s.Tags)...)
}

func checkTags(field string, tags []string) (all []error) {
	if len(tags) > MaxMCPTags {
		all = append(all, fieldErrorf(field, "has %d items, at most %d", len(tags), MaxMCPTags))
	}
	for _, tag := range tags {
		all = append(all, checkShort(field, tag, true))
	}
	return all
}

func checkShort(field, value string, required bool) error {
	switch {
	case value == "" && required:
		return fieldErrorf(field, "is missing")
	case len(value) > MaxMCPText:
		return fieldErrorf(field, "is %d bytes, at most %d", len(value), MaxMCPText)
	case value != Show(value):
		return fieldErrorf(field, "%q has characters that are not seen", clip(value))
	}
	return nil
}

func checkRange(field string, n, least, most int64) error {
	if n < least || n > most {
		return fieldErrorf(field, "is %d, want %d to %d", n, least, most)
	}
	return nil
}

// reachProblems are those of the one address that a subsystem has.
func (s *MCPSubsystem) reachProblems() []error {
	switch {
	case s.HTTP == "" && s.Stdio == "":
		return []error{fieldErrorf("http", "is missing, and so is stdio: one of them says how the server is reached")}
	case s.HTTP != "" && s.Stdio != "":
		return []error{fieldErrorf("stdio", "and http are both given: a server is reached in one way")}
	case s.Stdio != "":
		return []error{CheckSubsystemID("stdio", s.Stdio)}
	}
	scheme, host, rest := splitURL(s.HTTP)
	switch {
	case len(s.HTTP) > MaxMCPURL:
		return []error{fieldErrorf("http", "is %d bytes, at most %d", len(s.HTTP), MaxMCPURL)}
	case strings.Contains(host, "@"):
		return []error{fieldErrorf("http", "holds a user name or a password: topics hold no secrets, give a key")}
	case scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(s.HTTP, " \\\"<>") || s.HTTP != Show(s.HTTP):
		return []error{fieldErrorf("http", "is not a URL such as https://tools.example.com/mcp")}
	case strings.Contains(rest, "#"):
		return []error{fieldErrorf("http", "has a fragment, which no server sees")}
	}
	return nil
}

// splitURL is the scheme of a URL, its host with the port, and what follows. It
// is here and not net/url's, because this package does no I/O and imports none.
func splitURL(text string) (scheme, host, rest string) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", "", text
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return strings.ToLower(scheme), rest[:end], rest[end:]
}

// keyProblems are those of a key that an executor must not or cannot use.
func (s *MCPSubsystem) keyProblems() (all []error) {
	if s.Key == nil {
		return nil
	}
	k := s.Key
	switch {
	case s.Stdio != "":
		return []error{fieldErrorf("key", "is for http: the environment of a command is given to the executor (--mcp-env %s=VAR=value)", s.Stdio)}
	case (k.Env == "") == (k.File == ""):
		return []error{fieldErrorf("key", "is either env or file: the name of a variable, or a path, of the executor")}
	case k.Env != "":
		all = append(all, checkVariable("key.env", k.Env))
	default:
		all = append(all, checkPath("key.file", k.File))
	}
	all = append(all, checkHeader("key.header", k.Header))
	if scheme, host, _ := splitURL(s.HTTP); scheme == "http" && !loopback(host) {
		all = append(all, fieldErrorf("key", "would be sent in clear text to %s: use https", clip(host)))
	}
	return all
}

// checkVariable refuses the variables that hold the engine's own secrets.
func checkVariable(field, name string) error {
	for i := range len(name) {
		c := name[i]
		if letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'; !letter && (i == 0 || c < '0' || c > '9') {
			return fieldErrorf(field, "%q is not the name of a variable", clip(name))
		}
	}
	for _, own := range []string{"KAFKA_", "LEAT_"} {
		if strings.HasPrefix(strings.ToUpper(name), own) {
			return fieldErrorf(field, "%q is a setting of the executor itself, which no server gets", clip(name))
		}
	}
	return checkLength(field, name, MaxMCPText)
}

func checkPath(field, path string) error {
	switch {
	case len(path) > MaxMCPURL:
		return fieldErrorf(field, "is %d bytes, at most %d", len(path), MaxMCPURL)
	case !strings.HasPrefix(path, "/") && (len(path) < 3 || path[1] != ':'):
		return fieldErrorf(field, "is not an absolute path")
	case slices.Contains(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }), ".."):
		return fieldErrorf(field, "has ..")
	case path != Show(path):
		return fieldErrorf(field, "has characters that are not seen")
	}
	return nil
}

// checkHeader refuses what is not the name of a header, and those that the
// protocol needs.
func checkHeader(field, name string) error {
	for i := range len(name) {
		c := name[i]
		if known := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'; !known {
			return fieldErrorf(field, "%q is not the name of a header", clip(name))
		}
	}
	lower := strings.ToLower(name)
	for _, taken := range []string{"host", "cookie", "content-", "accept", "connection", "transfer-", "mcp-", "te", "upgrade", "idempotency-key", "x-idempotency-key"} {
		if lower == taken || strings.HasSuffix(taken, "-") && strings.HasPrefix(lower, taken) {
			return fieldErrorf(field, "%q is for the protocol", clip(name))
		}
	}
	return checkLength(field, name, MaxMCPText)
}

// loopback reports whether a host, with or without a port, is this machine.
func loopback(host string) bool {
	name := host
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		name = host[:at]
	}
	octets := strings.Split(name, ".")
	numeric := len(octets) == 4 && strings.Trim(name, "0123456789.") == ""
	return name == "localhost" || name == "[::1]" || numeric && octets[0] == "127"
}

func (s *MCPSubsystem) limitProblems() []error {
	l := s.Limits
	return []error{
		checkRange("limits.idle_ms", l.Idle.Milliseconds(), 0, MaxMCPCall.Milliseconds()),
		checkRange("limits.call_ms", l.Call.Milliseconds(), 0, MaxMCPCall.Milliseconds()),
		checkRange("limits.result_bytes", l.ResultBytes, 0, MaxMCPResultBytes),
		checkRange("limits.in_flight", int64(l.InFlight), 0, 10_000),
		checkRange("limits.per_second", int64(l.PerSecond), 0, 1_000_000),
	}
}

func (s *MCPSubsystem) toolProblems() (all []error) {
	if n := max(len(s.Tools), len(s.Approved)); n > MaxMCPTools {
		return []error{fieldErrorf("tools", "has %d items, at most %d", n, MaxMCPTools)}
	}
	for i := range s.Tools {
		t := &s.Tools[i]
		field := "tools." + clip(t.Name)
		if i > 0 && s.Tools[i-1].Name >= t.Name {
			all = append(all, fieldErrorf(field, "is there twice, or not in the order of the names"))
		}
		all = append(all, CheckToolName("tools", t.Name), checkRepeat(field+".repeat", t.Repeat), checkOptionalEnum(field+".type", t.Type, MCPToolTypes()))
		all = append(all, checkTags(field+".capabilities", t.Capabilities)...)
	}
	for i, a := range s.Approved {
		if i > 0 && s.Approved[i-1].Name >= a.Name {
			all = append(all, fieldErrorf("approved", "is not in the order of the names"))
		}
		all = append(all, CheckToolName("approved.name", a.Name), CheckPin("approved.pin", a.Pin), checkTime("approved.at", a.At))
	}
	return all
}

func checkRepeat(field, repeat string) error {
	argument, key := strings.CutPrefix(repeat, MCPRepeatKey)
	switch {
	case repeat == "" || repeat == MCPRepeatNever || repeat == MCPRepeatSafe:
		return nil
	case key && argument != "":
		return checkShort(field, argument, true)
	}
	return fieldErrorf(field, "%q is none of never, safe and key:ARGUMENT", clip(repeat))
}

// CheckPin holds `^[0-9a-f]{64}$`.
func CheckPin(field, pin string) error {
	if len(pin) != hex.EncodedLen(sha256.Size) || strings.Trim(pin, "0123456789abcdef") != "" {
		return fieldErrorf(field, "%q is not a SHA-256 in 64 hexadecimal digits", clip(pin))
	}
	return nil
}

// Validate checks every field, and that the pin is that of the rest.
func (t *MCPTool) Validate() error {
	if err := firstError(
		CheckSubsystemID("subsystem_id", t.SubsystemID),
		CheckToolName("name", t.Name),
		checkLength("description", t.Description, MaxMCPDescription),
		checkPart("input_schema", t.InputSchema, MaxMCPSchema),
		checkPart("output_schema", t.OutputSchema, MaxMCPSchema),
		checkPart("annotations", t.Annotations, MaxMCPAnnotations),
		checkTime("seen_at", t.SeenAt),
		checkName("seen_by", t.SeenBy),
	); err != nil {
		return err
	}
	if t.InputSchema == nil {
		return fieldErrorf("input_schema", "is missing")
	}
	if pin, err := t.ComputePin(); err != nil || pin != t.Pin {
		return fieldErrorf("pin", "is not that of the tool")
	}
	return nil
}

func checkPart(field string, text json.RawMessage, most int) error {
	return firstError(checkLength(field, string(text), most), checkJSON(field, text))
}
