package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/simulate"
	"github.com/leat-io/leat/pkg/fsm"
)

var rewrite = flag.Bool("rewrite", false, "write what the commands print, and the files that are shown, into the pages")

const docsDir = "../../docs"

// A page shows a file as a block behind the comment `<!-- file: PATH -->`, and
// commands with what they print as a console block behind `<!-- run: DIR -->`.
// Both paths are relative to the page.
var shown = regexp.MustCompile("(?s)(<!-- (file|run): ([^ ]+) -->\n```[a-z]*\n)(.*?)(```)")

// What the pages show is what the files hold and what the commands print.
func TestPagesShowWhatIs(t *testing.T) {
	blocks := 0
	for _, page := range append(pages(t), "../../README.md") {
		old := read(t, page)
		text := shown.ReplaceAllStringFunc(old, func(block string) string {
			blocks++
			part := shown.FindStringSubmatch(block)
			path := filepath.Join(filepath.Dir(page), part[3])
			if part[2] == "file" {
				return part[1] + read(t, path) + part[5]
			}
			return part[1] + session(t, path, part[4]) + part[5]
		})
		if text == old {
			continue
		}
		if *rewrite {
			if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s shows what is not so: go test ./test/docs -rewrite", page)
	}
	if blocks < 10 {
		t.Errorf("only %d blocks were found: the test has lost its subject", blocks)
	}
}

// session runs the commands of a console block again and gives the block anew.
func session(t *testing.T, dir, old string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(old) {
		if command, ok := strings.CutPrefix(line, "$ leat def "); ok {
			fmt.Fprintf(&out, "%s", line)
			out.WriteString(run(t, dir, words(strings.TrimSpace(command))))
		}
	}
	return out.String()
}

// run does what `leat def` does with the arguments in a directory.
func run(t *testing.T, dir string, args []string) string {
	t.Helper()
	source := []byte(read(t, filepath.Join(dir, args[1])))
	machine, findings, _ := definition.Parse(args[1], source)
	switch args[0] {
	case "validate":
		if machine == nil || len(findings) > 0 {
			return findings.String() + "\n"
		}
		return fmt.Sprintf("%s: %s@%d is valid\n", args[1], machine.Type(), machine.Version())
	case "simulate":
		if machine == nil {
			t.Fatalf("%v: %v", args, findings)
		}
		var input json.RawMessage
		var items []simulate.Item
		for i := 2; i+1 < len(args); i += 2 {
			switch args[i] {
			case "--input":
				input = json.RawMessage(args[i+1])
			case "--events":
				if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, args[i+1]))), &items); err != nil {
					t.Fatalf("%s: %v", args[i+1], err)
				}
			}
		}
		var out bytes.Buffer
		if err := simulate.Run(&out, machine, input, items); err != nil {
			t.Logf("%v: %v", args, err)
		}
		return out.String()
	default:
		t.Fatalf("the test cannot run leat def %v", args)
		return ""
	}
}

// words splits a command line; single quotes hold a word together.
func words(line string) (out []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

func valid(t *testing.T, path string) *fsm.Machine {
	t.Helper()
	machine, findings, err := definition.Parse(path, []byte(read(t, path)))
	if err != nil || len(findings) > 0 {
		t.Fatalf("%s: %v\n%v", path, err, findings)
	}
	return machine
}

// Every definition of the documentation and of the examples is valid, without a
// warning, and the cases beside it pass.
func TestDefinitionsAreModels(t *testing.T) {
	for _, pattern := range []string{docsDir + "/how-to/examples/*.yaml", "../../examples/*/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(paths))
		}
		for _, path := range paths {
			valid(t, path)
		}
	}
	cases, err := filepath.Glob("../../examples/*/*_cases.json")
	if err != nil || len(cases) < 4 {
		t.Fatalf("%v, %d files", err, len(cases))
	}
	var out bytes.Buffer
	if failed, err := simulate.TestCases(&out, cases...); err != nil || failed > 0 {
		t.Errorf("%v\n%s", err, out.String())
	}
}

var (
	link = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)\s]*)?\)`)
	// fenced is text in which nothing is a link.
	fenced = regexp.MustCompile("(?s)\n```.*?\n```")
)

// Every relative link of the documentation leads to a file.
func TestLinksLead(t *testing.T) {
	for _, page := range append(pages(t), "../../README.md", "../../CONTRIBUTING.md") {
		for _, found := range link.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, page), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), found[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, found[1])
			}
		}
	}
}

// Every how-to is in the list of how-tos.
func TestHowToListIsComplete(t *testing.T) {
	list := read(t, docsDir+"/how-to/README.md")
	for _, page := range pages(t) {
		if filepath.Base(filepath.Dir(page)) == "how-to" && filepath.Base(page) != "README.md" && !strings.Contains(list, "("+filepath.Base(page)+")") {
			t.Errorf("docs/how-to/README.md does not list %s", filepath.Base(page))
		}
	}
}

// pages are the Markdown files of the documentation.
func pages(t *testing.T) (out []string) {
	t.Helper()
	for _, pattern := range []string{"/*.md", "/*/*.md"} {
		paths, err := filepath.Glob(docsDir + pattern)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, paths...)
	}
	if !slices.ContainsFunc(out, func(page string) bool { return strings.HasSuffix(page, "definition.md") }) {
		t.Fatal("the reference of the definition language is not among the pages")
	}
	return out
}
