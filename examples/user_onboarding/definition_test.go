package main

import (
	"strings"
	"testing"

	internal "github.com/leat-io/leat/internal/definition"
)

// Users write: leat def validate user_onboarding.yaml && leat def test user_onboarding_cases.json
func TestDefinition(t *testing.T) {
	if _, findings, err := internal.Parse("user_onboarding.yaml", definition); err != nil || len(findings) > 0 {
		t.Errorf("%v\n%v", err, findings)
	}
	var out strings.Builder
	failed, err := internal.TestCases(&out, "user_onboarding_cases.json")
	if err != nil || failed > 0 {
		t.Errorf("%v\n%s", err, out.String())
	}
}
