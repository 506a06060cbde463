// Package gobench runs Go benchmarks of the module and gives what they print as
// JSON objects.
package gobench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Suite is a set of benchmarks.
type Suite struct {
	Packages []string // as `go test` takes them, from the module's root
	Bench    string   // regular expression
	Seconds  float64  // each
}

// Run runs the suite in the module's root, which must be the working directory.
func Run(ctx context.Context, s Suite, talk func(format string, args ...any), emit func(any) error) error {
	args := append([]string{
		"test", "-run", "^$", "-benchmem", "-bench", s.Bench, "-benchtime", fmt.Sprintf("%.2fs", s.Seconds),
	}, s.Packages...)
	talk("go %s", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		result, ok := Parse(lines.Text())
		if !ok {
			if strings.HasPrefix(lines.Text(), "---") || strings.HasPrefix(lines.Text(), "FAIL") {
				talk("%s", lines.Text())
			}
			continue
		}
		if err := emit(result); err != nil {
			return err
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

// units of `go test -benchmem` under the names that the lines have. Other units
// are metrics of a benchmark's own: "records/s" becomes records_per_s.
var units = map[string]string{"ns/op": "ns_per_op", "B/op": "bytes_per_op", "allocs/op": "allocs_per_op", "MB/s": "mb_per_s", "cpu-ns/op": "cpu_ns_per_op"}

// line is BenchmarkName/key=value-2  1000  12 ns/op  3 B/op ...
var line = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// Parse reads one line of `go test -bench`; ok is false for every other line.
// Parts of the name that read key=value become fields.
func Parse(text string) (fields map[string]any, ok bool) {
	found := line.FindStringSubmatch(text)
	if found == nil {
		return nil, false
	}
	r := make(map[string]any)
	var name []string
	for part := range strings.SplitSeq(found[1], "/") {
		if key, value, ok := strings.Cut(part, "="); ok {
			r[key] = number(value)
			continue
		}
		name = append(name, snake(part))
	}
	r["bench"] = strings.Join(name, "_")
	values := strings.Fields(found[2])
	for i := 0; i+1 < len(values); i += 2 {
		unit := values[i+1]
		if known := units[unit]; known != "" {
			unit = known
		}
		r[strings.ReplaceAll(strings.ReplaceAll(unit, "/", "_per_"), "-", "_")] = number(values[i])
	}
	return r, true
}

func number(text string) any {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n
	}
	return text
}

// snake is DecideEncode as decide_encode.
func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
