package events

import (
	"math"
	"testing"
)

func TestConditions(t *testing.T) {
	values := map[string]ContextValue{
		"n": Long(9007199254740993), "d": Double(1.5), "s": String("Novara"), "b": Boolean(true), "l": Strings([]string{"x", "yz"}),
		"zero": Double(0), "most": Long(math.MaxInt64), "least": Long(math.MinInt64), "near": Long(9007199254740992), "digits": String("100"),
	}
	for _, tt := range []struct {
		where string
		holds bool
	}{
		{"n = 9007199254740993", true},
		{"n = 9007199254740992", false}, // no detour over doubles
		{"n > 9007199254740992", true},
		{"n<1e3", false},
		{"n = 9007199254740993.0", true},
		{"near = 9007199254740993.0", false},
		{"near < 9007199254740992.5", true},
		{"near = 9007199254740992e0", true},
		{"most >= 9223372036854775808", false},
		{"most < 9223372036854775808", true},
		{"most < 1e99", true},
		{"most > -1e99", true},
		{"most < inf", true},
		{"least <= -9223372036854775809", false},
		{"least > -9223372036854775809", true},
		{"least = -9223372036854775808.0", true},
		{"n > 1e-999999999", true},
		{"d >= 1.5", true},
		{"d > 1.5", false},
		{"d<=2", true},
		{"s = Novara", true},
		{"s='Novara'", true},
		{`s = "novara"`, false},
		{"s ^= Nov", true},
		{"s ^= ov", false},
		{"s < Z", true},
		{"b = true", true},
		{"b = false", false},
		{"l = x", true},
		{"l = y", false},
		{"l ^= y", true},
		{"zero = -0", true},
		{"digits = 100", true},
		{"digits ^= 1", true},
		{"missing = 1", false},
	} {
		c, err := ParseCondition(tt.where)
		if err != nil {
			t.Errorf("%s: %v", tt.where, err)
		} else if got := c.Holds(values[c.Name]); got != tt.holds {
			t.Errorf("%s: got %v, want %v", tt.where, got, tt.holds)
		}
	}
}

func TestConditionsThatAreNone(t *testing.T) {
	for _, where := range []string{"", "amount", "= 3", "a ^ b", "a b = 3", "a != 3", "'a' = 3"} {
		if c, err := ParseCondition(where); err == nil {
			t.Errorf("%q is taken for %+v", where, c)
		}
	}
	for _, tt := range []struct {
		where string
		kind  Kind
	}{
		{"a = x", KindLong}, {"a = x", KindDouble}, {"a > nan", KindDouble}, {"a ^= 1", KindLong}, {"a = 1", KindBoolean}, {"a > true", KindBoolean}, {"a = 1", KindMap},
	} {
		c, err := ParseCondition(tt.where)
		if err != nil {
			t.Fatal(err)
		}
		if c.Check(tt.kind) == nil {
			t.Errorf("%q is taken for a condition on a %s", tt.where, tt.kind)
		}
	}
}
