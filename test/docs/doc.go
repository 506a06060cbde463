// Package docs checks that the documentation says what is: its pages are
// compared with the code, and its examples are run. It holds tests only.
package docs
