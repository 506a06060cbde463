package main

import (
	"testing"

	"github.com/leat-io/leat/pkg/definition"
	"github.com/leat-io/leat/pkg/leattest"
)

// On the command line: leat def validate user_onboarding.yaml && leat def test user_onboarding_cases.json
func TestDefinition(t *testing.T) {
	if _, findings, err := definition.Parse("user_onboarding.yaml", source); err != nil || len(findings) > 0 {
		t.Errorf("%v\n%v", err, findings)
	}
	leattest.Cases(t, "user_onboarding_cases.json")
}
