// Checks histories of a replicated log for linearizability (with Porcupine) and, where the order is
// told, against the rules in places.go. Reads records (history.go) line by line and judges an object
// as soon as it is closed, so that a history can be checked while it grows. Writes one JSON line a
// finding; ends with 0 (nothing wrong), 1 (violations), 2 (no valid history), 3 (a check was given
// up after its time limit).
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

type settings struct {
	visualizations string
	limit          time.Duration
}

type finding struct {
	// "ok", "violation", "undecided" for an object; "done" for the history.
	Verdict string `json:"verdict"`
	Object  string `json:"object,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Text    string `json:"text,omitempty"`
	// Where the violation can be looked at with a browser.
	Visualization string `json:"visualization,omitempty"`
	Operations    int    `json:"operations"`
	Objects       int    `json:"objects,omitempty"`
	Violations    int    `json:"violations,omitempty"`
	Undecided     int    `json:"undecided,omitempty"`
	LongestMs     int64  `json:"longestMs,omitempty"`
}

type checker struct {
	settings settings
	say      func(finding)
	open     map[string][]*record
	places   map[string]*places
	written  map[int64]bool
	unknown  map[int64]bool
	last     int64
	total    finding
}

func newChecker(s settings, say func(finding)) *checker {
	return &checker{
		settings: s, say: say, open: map[string][]*record{}, places: map[string]*places{},
		written: map[int64]bool{}, unknown: map[int64]bool{}, total: finding{Verdict: "done"},
	}
}

func (c *checker) take(r *record) error {
	switch r.Kind {
	case "op":
		return c.operation(r)
	case "start":
		for _, p := range c.places {
			p.start(r.Node, r.Call)
		}
	case "sweep":
		c.placesOf(r.Object).sweep()
	case "complete":
		c.placesOf(r.Object).complete()
	case "close":
		c.judge(r.Object)
	case "fault":
	default:
		return fmt.Errorf("no kind %q", r.Kind)
	}
	return nil
}

func (c *checker) operation(r *record) error {
	if r.Return < c.last {
		return fmt.Errorf("not in the order of returns: %s", r.text())
	}
	if r.Return < r.Call || !(r.ok() || r.unknown() || r.Outcome == "failed") {
		return fmt.Errorf("not an operation: %s", r.text())
	}
	c.last = r.Return
	c.total.Operations++
	if r.writes() {
		if r.Value <= 0 || c.written[r.Value] {
			return fmt.Errorf("its value is not unique: %s", r.text())
		}
		c.written[r.Value] = true
		if r.unknown() {
			c.unknown[r.Value] = true
		}
	}
	kind, _, _ := strings.Cut(r.Object, "/")
	switch kind {
	case "register", "log":
		c.open[r.Object] = append(c.open[r.Object], r)
		if r.writes() {
			c.placesOf("ledger").wrote(r, r.Index)
		}
	case "ledger", "queue":
		p := c.placesOf(r.Object)
		if r.writes() {
			p.wrote(r, r.Position)
		} else if r.ok() {
			p.read(r)
		}
	default:
		return fmt.Errorf("no model for %q", r.Object)
	}
	return nil
}

func (c *checker) placesOf(name string) *places {
	p := c.places[name]
	if p == nil {
		said := 0
		p = newPlaces(name, func(rule, text string) {
			// One mistake moves everything behind it.
			if said++; said <= 20 {
				c.violation(finding{Object: name, Rule: rule, Text: text})
			}
		})
		c.places[name] = p
	}
	return p
}

func (c *checker) violation(f finding) {
	f.Verdict = "violation"
	c.total.Violations++
	c.say(f)
}

// Searches an order of the object's operations that the model allows.
func (c *checker) judge(object string) {
	records := c.open[object]
	delete(c.open, object)
	model, operations := registerModel, registerOperations
	if strings.HasPrefix(object, "log/") {
		model, operations = logModel, logOperations
	}
	began := time.Now()
	history := operations(records)
	result := porcupine.CheckOperationsTimeout(model, history, c.settings.limit)
	c.total.Objects++
	c.total.LongestMs = max(c.total.LongestMs, time.Since(began).Milliseconds())
	f := finding{Object: object, Operations: len(records), Rule: "linearizable"}
	switch result {
	case porcupine.Ok:
		f.Verdict = "ok"
		c.say(f)
	case porcupine.Unknown:
		c.total.Undecided++
		f.Verdict = "undecided"
		c.say(f)
	default:
		f.Visualization = c.visualize(model, history, object)
		c.violation(f)
	}
}

func (c *checker) visualize(model porcupine.Model, history []porcupine.Operation, object string) string {
	if c.settings.visualizations == "" {
		return ""
	}
	// A violation was found without keeping what is shown; that is searched for again.
	_, info := porcupine.CheckOperationsVerbose(model, history, c.settings.limit)
	path := filepath.Join(c.settings.visualizations, strings.ReplaceAll(object, "/", "-")+".html")
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		return err.Error()
	}
	return path
}

func (c *checker) end() finding {
	for object := range c.open {
		c.judge(object)
	}
	for _, p := range c.places {
		p.end(func(value int64) bool { return c.unknown[value] })
	}
	c.say(c.total)
	return c.total
}

func run(s settings, in io.Reader, out io.Writer) int {
	encoder := json.NewEncoder(out)
	c := newChecker(s, func(f finding) { encoder.Encode(f) })
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 64*1024), 16*1024*1024)
	line := 0
	for scanner.Scan() {
		line++
		r := &record{}
		err := json.Unmarshal(scanner.Bytes(), r)
		if err == nil {
			err = c.take(r)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "line %d: %v\n", line, err)
			return 2
		}
	}
	if err := scanner.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	total := c.end()
	switch {
	case total.Violations > 0:
		return 1
	case total.Undecided > 0:
		return 3
	}
	return 0
}

func main() {
	var s settings
	flag.StringVar(&s.visualizations, "visualizations", "", "directory for pictures of violations")
	flag.DurationVar(&s.limit, "limit", 20*time.Second, "time limit for one object")
	flag.Parse()
	in := os.Stdin
	if flag.NArg() > 0 {
		file, err := os.Open(flag.Arg(0))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		in = file
	}
	os.Exit(run(s, in, os.Stdout))
}
