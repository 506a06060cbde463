package events

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 defines version 5 over SHA-1; it is not used as a signature
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

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
