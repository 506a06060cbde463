package events

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// idPrefix marks a name that is an instance id. A name without it is a business
// key, whatever it looks like: many keys are UUIDs.
const idPrefix = "id:"

// Ref is an instance as people and programs name it: by its id, or by the
// business key that it was started with.
type Ref struct {
	ID  UUID   // Nil when Key says which instance is meant
	Key string // "" when ID does
}

// ParseRef reads a name: id:UUID is an instance id, and everything else is a
// business key, byte for byte. It is the one place that tells them apart.
func ParseRef(name string) Ref {
	if text, marked := strings.CutPrefix(name, idPrefix); marked {
		if id, err := ParseUUID(text); err == nil {
			return Ref{ID: id}
		}
	}
	return Ref{Key: name}
}

// String is the name that [ParseRef] reads.
func (r Ref) String() string {
	if !r.ID.IsNil() {
		return idPrefix + r.ID.String()
	}
	return r.Key
}

// InstanceID is the instance of a workflow type that is meant.
func (r Ref) InstanceID(workflowType string) UUID {
	if r.ID.IsNil() && r.Key != "" {
		return InstanceIDForKey(workflowType, r.Key)
	}
	return r.ID
}

// NameOf is how an instance is called in a command that people may copy: by its
// key, or by its id when the key is not there, does not lead to the instance, or
// means something to a shell.
func NameOf(workflowType, key string, id UUID) string {
	if key == "" || strings.ContainsFunc(key, special) || strings.ContainsAny(key[:1], "-=~") ||
		!ParseRef(key).ID.IsNil() || InstanceIDForKey(workflowType, key) != id {
		return Ref{ID: id}.String()
	}
	return key
}

// special reports what a shell may read as something else than itself.
func special(r rune) bool {
	plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !plain && !strings.ContainsRune("._-/:@+=,%~", r)
}

// CheckKey refuses what cannot be a business key: nothing at all, what cannot be
// shown or sent everywhere, and what is an instance id to everybody who reads it.
func CheckKey(field, key string) error {
	switch {
	case key == "":
		return fieldErrorf(field, "is empty: leave it out, or give the instance a key")
	case len(key) > MaxKeyLength:
		return checkLength(field, key, MaxKeyLength)
	case !utf8.ValidString(key):
		return fieldErrorf(field, "is not valid UTF-8")
	case !ParseRef(key).ID.IsNil():
		return fieldErrorf(field, "%q is how an instance id is written, and no business key", clip(key))
	}
	if at := strings.IndexFunc(key, isControl); at >= 0 {
		r, _ := utf8.DecodeRuneInString(key[at:])
		return fieldErrorf(field, "has the control character U+%04X at byte %d: a key is text that can be shown", r, at)
	}
	return nil
}

// isControl reports the characters of C0, DEL and C1.
func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// KeyText is a business key in JSON. Reading refuses what encoding/json would
// replace by U+FFFD, because two keys would become one: bytes that are not UTF-8,
// and halves of surrogate pairs.
type KeyText string

// UnmarshalJSON reads a JSON string.
func (k *KeyText) UnmarshalJSON(text []byte) error {
	if err := checkCharacters("key", text); err != nil {
		return err
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return fieldErrorf("key", "is not a JSON string")
	}
	*k = KeyText(s)
	return nil
}

// checkCharacters refuses JSON in which encoding/json would replace something.
func checkCharacters(field string, text []byte) error {
	switch {
	case !utf8.Valid(text):
		return fieldErrorf(field, "is not valid UTF-8")
	case hasHalf(text):
		return fieldErrorf(field, "has half of a surrogate pair, which is no character")
	}
	return nil
}

// hasHalf reports whether a JSON string has an escape of one half of a pair.
func hasHalf(text []byte) bool {
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		first, ok := escaped(text[i:])
		if !ok {
			i++ // the character behind the backslash
			continue
		}
		i += 5
		if !utf16.IsSurrogate(first) {
			continue
		}
		second, ok := escaped(text[i+1:])
		if !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// escaped reads the escape \uXXXX at the beginning of text.
func escaped(text []byte) (r rune, ok bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}

// checkKey is [CheckKey] for a command, which may do without a key.
func (c *Command) checkKey() error {
	if c.Key == "" {
		return nil
	}
	return CheckKey("key", c.Key)
}

// CheckNamed holds key and id of a resolved command together: the id of a key is
// not free, or one key would name two instances. Everybody who takes commands
// asks this beside [Command.Validate]; what was taken before stays readable.
func (c *Command) CheckNamed() error {
	if c.Key == "" {
		return nil
	}
	if of := InstanceIDForKey(c.WorkflowType, c.Key); c.InstanceID != of {
		return fieldErrorf("instance_id", "%s is not the instance of key %q, which is %s: give one of them", c.InstanceID, clip(c.Key), of)
	}
	return nil
}
