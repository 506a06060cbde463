package offer

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/leat-io/leat/internal/mcp/serve"
	"github.com/leat-io/leat/pkg/events"
)

// keyPrefix begins the business keys of the instances that a caller started.
func keyPrefix(who serve.Caller) string { return "mcp/" + who.Name + "/" }

// keyOf is the business key of what a call starts. With an idempotency key it is the
// same for every such call of that caller, and so is the instance; without one it is
// random.
func keyOf(who serve.Caller, idempotency string) string {
	if idempotency == "" {
		return keyPrefix(who) + strings.ToLower(rand.Text())
	}
	sum := sha256.Sum256([]byte(idempotency))
	return keyPrefix(who) + hex.EncodeToString(sum[:])
}

// taskID names an instance: its type, which is where it is looked for, and its id.
func taskID(workflowType string, id events.UUID) string { return workflowType + "/" + id.String() }

// parseTaskID is the opposite of taskID.
func parseTaskID(text string) (workflowType string, id events.UUID, ok bool) {
	workflowType, rest, found := strings.Cut(text, "/")
	if !found || events.CheckWorkflowType("type", workflowType) != nil {
		return "", events.UUID{}, false
	}
	id, err := events.ParseUUID(rest)
	return workflowType, id, err == nil && id.String() == rest && !id.IsNil()
}
