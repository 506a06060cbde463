package avro

import (
	"errors"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// wantField wants an error that names field.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var named *events.FieldError
	if !errors.As(err, &named) || named.Field != field {
		t.Errorf("got %v, want an error of field %s", err, field)
	}
}
