package events

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
)

// An attempt belongs to whoever has its token. Only the task
// record, or the start of the child workflow that works on it, carries it: the
// snapshot keeps a hash, so that nothing that shows an instance can give the
// attempt away.

// tokenLength is how many bytes of a token, and of its hash, are kept: nobody
// guesses 128 bits.
const tokenLength = 16

// ClaimToken is the token of one attempt of a task, as base64url text. Seed is
// random and secret; the tokens of all attempts that one seed gives say nothing
// of each other.
func ClaimToken(seed []byte, task UUID, attempt int32) string {
	mac := hmac.New(sha256.New, seed)
	mac.Write(strconv.AppendInt(append(task[:], '/'), int64(attempt), 10))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:tokenLength])
}

// HashToken is what a snapshot keeps of a token.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:tokenLength])
}

// Knows reports whether token is that of the newest attempt. An attempt without
// one (of people, of child workflows, or older than tokens) takes any.
func (t *TaskStatus) Knows(token string) bool {
	return t.TokenHash == "" || subtle.ConstantTimeCompare([]byte(t.TokenHash), []byte(HashToken(token))) == 1
}
