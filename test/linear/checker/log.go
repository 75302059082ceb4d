package main

import (
	"encoding/binary"
	"fmt"

	"github.com/anishathalye/porcupine"
)

// An append-only log: append answers with the place, reads see one place, the end, or everything.
// The state is its values, 8 bytes each, in a string: cheap to compare, and nobody can change it.
type appendLog string

func (l appendLog) length() int64 { return int64(len(l)) / 8 }

func (l appendLog) at(position int64) int64 {
	if position < 0 || position >= l.length() {
		return 0
	}
	return int64(binary.LittleEndian.Uint64([]byte(l[position*8 : position*8+8])))
}

func (l appendLog) with(value int64) appendLog {
	return l + appendLog(binary.LittleEndian.AppendUint64(nil, uint64(value)))
}

func logOf(values []int64) appendLog {
	var bytes []byte
	for _, value := range values {
		bytes = binary.LittleEndian.AppendUint64(bytes, uint64(value))
	}
	return appendLog(bytes)
}

// An append as the model takes it: unanswered ones have a place when somebody saw their value, and
// else, with `gaps`, those that nobody accounts for, and all from `position` on.
type placed struct {
	*record
	position int64
	gaps     map[int64]bool
}

var logModel = porcupine.Model{
	Init: func() interface{} { return appendLog("") },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		l, r := state.(appendLog), input.(placed)
		switch r.Op {
		case "append":
			if r.gaps != nil {
				return r.gaps[l.length()] || l.length() >= r.position, l.with(r.Value)
			}
			return r.position == l.length(), l.with(r.Value)
		case "read":
			return l.at(r.Position) == r.Result, l
		case "last":
			return l.length() == r.Length && l.at(r.Length-1) == r.Result, l
		default:
			return l == logOf(r.Values), l
		}
	},
	DescribeOperation: func(input, _ interface{}) string {
		r := input.(placed)
		switch r.Op {
		case "append":
			return fmt.Sprintf("append %d at %d%s", r.Value, r.position, doubt(r.record))
		case "read":
			return fmt.Sprintf("read %d: %d", r.Position, r.Result)
		case "last":
			return fmt.Sprintf("last: %d of %d", r.Result, r.Length)
		default:
			return fmt.Sprintf("all: %v", r.Values)
		}
	},
	DescribeState: func(state interface{}) string {
		l := state.(appendLog)
		return fmt.Sprintf("%d values, last %d", l.length(), l.at(l.length()-1))
	},
}

// As with registers: what nobody saw can be left out, unless a place has to be filled with it.
func logOperations(records []*record) []porcupine.Operation {
	placeOf := map[int64]int64{}
	filled := map[int64]bool{}
	var longest int64
	// Earliest answer that says that the log is at least so long.
	reached := map[int64]int64{}
	reach := func(length, at int64) {
		longest = max(longest, length)
		if old, ok := reached[length]; !ok || at < old {
			reached[length] = at
		}
	}
	saw := func(position, value, at int64) {
		if value == 0 {
			return
		}
		if _, ok := placeOf[value]; !ok {
			placeOf[value] = position
		}
		filled[position] = true
		reach(position+1, at)
	}
	for _, r := range records {
		if !r.ok() {
			continue
		}
		switch r.Op {
		case "append":
			saw(r.Position, r.Value, r.Return)
		case "read":
			saw(r.Position, r.Result, r.Return)
		case "last":
			reach(r.Length, r.Return)
			saw(r.Length-1, r.Result, r.Return)
		case "all":
			for position, value := range r.Values {
				saw(int64(position), value, r.Return)
			}
		}
	}
	gaps := map[int64]bool{}
	before := int64(never)
	filledBy := make([]int64, longest)
	for position := longest - 1; position >= 0; position-- {
		if at, ok := reached[position+1]; ok {
			before = min(before, at)
		}
		filledBy[position] = before
		if !filled[position] {
			gaps[position] = true
		}
	}
	return logCandidates(records, placeOf, filledBy, gaps)
}

func logCandidates(records []*record, placeOf map[int64]int64, filledBy []int64, gaps map[int64]bool) []porcupine.Operation {
	var operations []porcupine.Operation
	add := func(r *record, position int64, gaps map[int64]bool, end int64) {
		one := operation(r, end)
		one.Input = placed{r, position, gaps}
		operations = append(operations, one)
	}
	for _, r := range records {
		position, seen := placeOf[r.Value]
		switch {
		case r.ok():
			add(r, r.Position, nil, r.Return)
		case !r.unknown() || r.Op != "append":
		case seen:
			add(r, position, nil, max(r.Call, filledBy[position]))
		case len(gaps) > 0:
			add(r, int64(len(filledBy)), gaps, never)
		}
	}
	return operations
}
