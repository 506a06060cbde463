package events

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 defines version 5 over SHA-1; it is not used as a signature
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
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

// UUID identifies an instance, event, command, task or correlation (RFC 9562).
// The zero value is the nil UUID: it stands for "none" in fields that are
// documented as optional and is refused everywhere else.
type UUID [16]byte

// Nil is the nil UUID, which names nothing.
var Nil UUID

// Namespace is the root of every identifier that Leat derives, so that the
// same facts give the same identifier on every machine and every replay.
var Namespace = UUID{0x6c, 0x65, 0x61, 0x74, 0x2d, 0x69, 0x6f, 0x50, 0x80, 0x00, 0x6e, 0x61, 0x6d, 0x65, 0x73, 0x70}

// ParseUUID reads the 36-character form, in either case. It refuses every
// other form (braces, URN, no dashes) and the nil UUID.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return Nil, fmt.Errorf("%q is not a UUID: want 36 characters like 6f1ed002-ab5c-4b5e-8a33-1d3f1c1f0a11", clip(s))
	}
	compact := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(compact)); err != nil {
		return Nil, fmt.Errorf("%q is not a UUID: %w", s, err)
	}
	if u.IsNil() {
		return Nil, fmt.Errorf("%q is the nil UUID, which names nothing", s)
	}
	return u, nil
}

// DeriveUUID is the version 5 UUID of name below space. It is how Leat names
// what must get the same name when it is decided again: instances by business
// key, events by sequence number, tasks by ordinal, commands by offset.
func DeriveUUID(space UUID, name string) UUID {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(space[:])
	h.Write([]byte(name))
	var sum [sha1.Size]byte
	h.Sum(sum[:0])
	u := UUID(sum[:16])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}

// TimeUUID is the version 7 UUID of a moment and of 74 random bits, taken from
// the end of random: ids that are made one after the other sort so.
func TimeUUID(at time.Time, random [16]byte) UUID {
	u := UUID(random)
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(u[:6], ms[2:])
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

// InstanceIDForKey is the instance that a business key names within a workflow
// type. It makes a start idempotent by key.
func InstanceIDForKey(workflowType, key string) UUID {
	return DeriveUUID(Namespace, "instance/"+workflowType+"/"+key)
}

// IsNil reports whether u is the nil UUID.
func (u UUID) IsNil() bool { return u == Nil }

// String is the lower-case 36-character form. It is also the record key that
// routes an instance to its partition.
func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// MarshalText writes the 36-character form, and nothing for the nil UUID.
func (u UUID) MarshalText() ([]byte, error) {
	if u.IsNil() {
		return []byte{}, nil
	}
	return []byte(u.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (u *UUID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*u = Nil
		return nil
	}
	parsed, err := ParseUUID(string(text))
	if err != nil {
		return err
	}
	*u = parsed
	return nil
}

// IsZero makes `json:",omitzero"` leave out the nil UUID.
func (u UUID) IsZero() bool { return u.IsNil() }
