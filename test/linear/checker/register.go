package main

import (
	"fmt"
	"math"

	"github.com/anishathalye/porcupine"
)

const never = math.MaxInt64

// A register: write, read, and compare-and-set that answers with the value it found.
var registerModel = porcupine.Model{
	Init: func() interface{} { return int64(0) },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		value, r := state.(int64), input.(*record)
		switch {
		case r.Op == "write":
			return true, r.Value
		case r.Op == "read":
			return r.Result == value, value
		case r.unknown():
			// Only those whose value somebody saw are kept: they took effect.
			return r.Expected == value, r.Value
		case r.Applied:
			return r.Result == value && r.Expected == value, r.Value
		default:
			return r.Result == value && r.Expected != value, value
		}
	},
	DescribeOperation: func(input, _ interface{}) string {
		r := input.(*record)
		switch r.Op {
		case "write":
			return fmt.Sprintf("write %d%s", r.Value, doubt(r))
		case "read":
			return fmt.Sprintf("read %d", r.Result)
		default:
			return fmt.Sprintf("cas %d to %d: found %d, %t%s", r.Expected, r.Value, r.Result, r.Applied, doubt(r))
		}
	},
	DescribeState: func(state interface{}) string { return fmt.Sprint(state) },
}

func doubt(r *record) string {
	if r.unknown() {
		return ", unanswered"
	}
	return ""
}

// What the checker searches. Values are unique, so an unanswered write takes effect only if some
// answer depends on its value: then it did so before the first such answer, else it can be left
// out (it may come after everything else). Without this, each unanswered one doubles the search.
func registerOperations(records []*record) []porcupine.Operation {
	seenBy := map[int64]int64{}
	see := func(value, at int64) bool {
		if value == 0 {
			return false
		}
		if old, ok := seenBy[value]; ok && old <= at {
			return false
		}
		seenBy[value] = at
		return true
	}
	for _, r := range records {
		if r.ok() && r.Op != "write" {
			see(r.Result, r.Return)
		}
	}
	// A compare-and-set that took effect saw what it expected.
	for again := true; again; {
		again = false
		for _, r := range records {
			if r.unknown() && r.Op == "cas" {
				if at, ok := seenBy[r.Value]; ok && see(r.Expected, at) {
					again = true
				}
			}
		}
	}
	var operations []porcupine.Operation
	for _, r := range records {
		switch {
		case r.ok():
			operations = append(operations, operation(r, r.Return))
		case r.unknown() && r.writes():
			if at, ok := seenBy[r.Value]; ok {
				operations = append(operations, operation(r, max(at, r.Call)))
			}
		}
	}
	return operations
}

func operation(r *record, end int64) porcupine.Operation {
	return porcupine.Operation{ClientId: r.Client, Input: r, Call: r.Call, Return: end}
}
