// Package console is the web page of the projector: where instances stand, and
// how they came there. It is files that travel in the program and nothing else;
// everything that it shows comes from the API of its own origin, and it works
// without a network beyond that.
//
// It is not an administration tool: it changes nothing.
package console

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed page
var files embed.FS

// policy lets the page run its own script and talk to its own origin, only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at /, and its files beside it.
func Handler() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic("console: the page is not embedded: " + err.Error())
	}
	serve := http.FileServerFS(page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		serve.ServeHTTP(w, r)
	})
}
