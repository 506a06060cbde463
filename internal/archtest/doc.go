// Package archtest holds the import rules of this module, as one test with a
// table: which package may import which, where each third-party library has its
// home, and that every package says what it is for.
//
// The table in layers_test.go is a statement of policy. When the test fails, the
// code is usually in the wrong place; change a row only when the architecture
// changes, and then change docs/ with it.
package archtest
