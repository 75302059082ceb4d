package main

import "encoding/json"

// One line of a history. Lines stand in the order of their returns; times are nanoseconds of one
// monotonic clock. docs: test/linear/README.md.
type record struct {
	// "op"; "close": every operation of the object has been recorded; "start": the node's old
	// process is gone and a new one begins; "sweep", "complete": between them everything that was
	// acknowledged is read again; "fault", for people.
	Kind   string `json:"kind"`
	Object string `json:"object"`
	Client int    `json:"client"`
	Node   string `json:"node"`
	Call   int64  `json:"call"`
	// When the answer came, or when the client gave up waiting for it.
	Return int64  `json:"return"`
	Op     string `json:"op"`
	// "ok"; "failed": it must never have any effect; "unknown": it may have one at any time after
	// its call.
	Outcome string `json:"outcome"`

	// Written value; no two operations of a history write the same one. 0 is nothing.
	Value    int64 `json:"value"`
	Expected int64 `json:"expected"`
	// Read value, or the one that a compare-and-set found.
	Result  int64 `json:"result"`
	Applied bool  `json:"applied"`
	// Place in a log or queue.
	Position int64   `json:"position"`
	Length   int64   `json:"length"`
	Values   []int64 `json:"values"`
	// Place in the log of the group.
	Index int64 `json:"index"`
	Term  int64 `json:"term"`
	// A read that promises to see everything acknowledged before it was called.
	Linear bool `json:"linear"`
}

// For people: without long lists of values.
func (r *record) text() string {
	short := *r
	if len(short.Values) > 8 {
		short.Values = nil
	}
	bytes, err := json.Marshal(short)
	if err != nil {
		panic(err)
	}
	return string(bytes)
}

func (r *record) ok() bool      { return r.Outcome == "ok" }
func (r *record) unknown() bool { return r.Outcome == "unknown" }

// It may have changed something.
func (r *record) writes() bool {
	return r.Op == "write" || r.Op == "cas" || r.Op == "append" || r.Op == "send"
}
