package main

import (
	"fmt"
	"sort"
)

// The checks of a long log whose operations say their place: the log of the group ("ledger") and
// the queues of a broker. The order is known, so nothing has to be searched. Rules:
//
//	place    a place has one value for ever, a value one place, in every answer of every node
//	order    what was called after another was known has a higher place, and no lower term
//	failed   what was said to have failed is nowhere
//	phantom  nothing is seen before it was written
//	behind   a linear read finds everything that was known when it was called
//	back     a node goes on showing what it once showed, until its process is replaced
//	leader   a node that acknowledged something shows what others had acknowledged before
//	lost     what was acknowledged is found by whoever reads everything
type places struct {
	name     string
	report   func(rule, text string)
	at       map[int64]*place
	of       map[int64]int64
	calls    map[int64]*record
	observed map[int64]bool
	failed   map[int64]*record
	known    frontier
	nodes    map[string]*nodeView
}

type place struct {
	value int64
	term  int64
	// Return of the first answer that showed it.
	knownAt int64
	acked   *record
}

// What a node has shown since its process began.
type nodeView struct {
	beganAt int64
	shown   frontier
	acked   frontier
	// Places below it must be shown to whoever calls after `since`.
	floors []floor
}

type floor struct{ since, position int64 }

// The highest place that answers up to a time showed; times do not decrease.
type frontier struct {
	times   []int64
	highest []int64
}

func (f *frontier) add(at, position int64) {
	last := len(f.times) - 1
	if last >= 0 && f.highest[last] >= position {
		return
	}
	f.times = append(f.times, at)
	f.highest = append(f.highest, position)
}

// Of answers before `call`; -1 when there are none.
func (f *frontier) before(call int64) int64 {
	count := sort.Search(len(f.times), func(i int) bool { return f.times[i] >= call })
	if count == 0 {
		return -1
	}
	return f.highest[count-1]
}

func newPlaces(name string, report func(rule, text string)) *places {
	return &places{
		name: name, report: report,
		at: map[int64]*place{}, of: map[int64]int64{}, calls: map[int64]*record{},
		observed: map[int64]bool{}, failed: map[int64]*record{}, nodes: map[string]*nodeView{},
	}
}

func (p *places) node(name string) *nodeView {
	view := p.nodes[name]
	if view == nil {
		view = &nodeView{}
		p.nodes[name] = view
	}
	return view
}

// A process of the node ended before, another begins now.
func (p *places) start(name string, at int64) {
	view := p.node(name)
	p.nodes[name] = &nodeView{beganAt: at, acked: view.acked}
}

// A write, with its place when it was acknowledged.
func (p *places) wrote(r *record, position int64) {
	switch {
	case r.Outcome == "failed":
		p.failed[r.Value] = r
		if at, ok := p.of[r.Value]; ok {
			p.report("failed", fmt.Sprintf("%s is at %d", r.text(), at))
		}
	case r.unknown():
		p.calls[r.Value] = r
		if at, ok := p.of[r.Value]; ok {
			p.ordered(r, at)
			p.notEarly(r, p.at[at].knownAt)
		}
	default:
		p.ordered(r, position)
		if found := p.saw(position, r.Value, r.Return, r); found != nil {
			p.notEarly(r, found.knownAt)
			found.term = r.Term
			found.acked = r
			p.acknowledged(r, position)
		}
	}
}

func (p *places) acknowledged(r *record, position int64) {
	view := p.node(r.Node)
	view.acked.add(r.Return, position)
	if r.Call < view.beganAt {
		return
	}
	// Only what others acknowledged: what it acknowledged itself may lag at its own readers.
	highest := int64(-1)
	for name, other := range p.nodes {
		if name != r.Node {
			highest = max(highest, other.acked.before(r.Call))
		}
	}
	last := len(view.floors) - 1
	if highest >= 0 && (last < 0 || view.floors[last].position < highest) {
		view.floors = append(view.floors, floor{r.Return, highest})
	}
}

// Values from `position` on, as a node answered.
func (p *places) read(r *record) {
	view := p.node(r.Node)
	for i, value := range r.Values {
		p.observed[r.Position+int64(i)] = true
		p.saw(r.Position+int64(i), value, r.Return, r)
	}
	if count := int64(len(r.Values)); count > 0 {
		if r.Call >= view.beganAt {
			view.shown.add(r.Return, r.Position+count-1)
		}
		return
	}
	if r.Linear {
		if known := p.known.before(r.Call); r.Position <= known {
			p.report("behind", fmt.Sprintf("%s finds nothing, but %d was known", r.text(), known))
		}
	}
	if r.Call < view.beganAt {
		return
	}
	if shown := view.shown.before(r.Call); r.Position <= shown {
		p.report("back", fmt.Sprintf("%s finds nothing, but the node showed %d before", r.text(), shown))
	}
	for _, floor := range view.floors {
		if floor.since < r.Call && r.Position <= floor.position {
			p.report("leader", fmt.Sprintf("%s finds nothing, but %d was acknowledged by others before this node led", r.text(), floor.position))
			return
		}
	}
}

// Negative values stand for entries of nobody's operation.
func (p *places) saw(position, value, at int64, by *record) *place {
	found := p.at[position]
	if found != nil && found.value != value {
		p.report("place", fmt.Sprintf("%d at %d in %s, but it was %d", value, position, by.text(), found.value))
		return nil
	}
	if other, ok := p.of[value]; ok && other != position {
		p.report("place", fmt.Sprintf("%d at %d in %s, but it was at %d", value, position, by.text(), other))
		return nil
	}
	if found == nil {
		found = &place{value: value, knownAt: at}
		p.at[position] = found
		if value > 0 {
			p.of[value] = position
		}
		p.known.add(at, position)
		if call := p.calls[value]; call != nil {
			p.ordered(call, position)
			p.notEarly(call, at)
		}
		if r := p.failed[value]; r != nil {
			p.report("failed", fmt.Sprintf("%s is at %d in %s", r.text(), position, by.text()))
		}
	}
	return found
}

func (p *places) ordered(r *record, position int64) {
	if known := p.known.before(r.Call); known >= position {
		p.report("order", fmt.Sprintf("%s has place %d, but %d was known before it was called", r.text(), position, known))
	}
}

func (p *places) notEarly(r *record, knownAt int64) {
	if knownAt < r.Call {
		p.report("phantom", fmt.Sprintf("%s was seen at %d", r.text(), knownAt))
	}
}

// From now on everything is read again.
func (p *places) sweep() {
	p.observed = map[int64]bool{}
}

// Everything that was acknowledged has been read again.
func (p *places) complete() {
	for position, found := range p.at {
		if found.acked != nil && !p.observed[position] {
			p.report("lost", fmt.Sprintf("%s was not there at the end", found.acked.text()))
		}
	}
}

// At the end of a history: what no single line shows.
func (p *places) end(wroteUnknown func(value int64) bool) {
	var positions []int64
	for position, found := range p.at {
		positions = append(positions, position)
		if found.value > 0 && found.acked == nil && !wroteUnknown(found.value) {
			p.report("phantom", fmt.Sprintf("%d at %d was written by nobody", found.value, position))
		}
	}
	sort.Slice(positions, func(i, j int) bool { return positions[i] < positions[j] })
	var before *place
	for _, position := range positions {
		found := p.at[position]
		if found.term == 0 {
			continue
		}
		if before != nil && before.term > found.term {
			p.report("order", fmt.Sprintf("%s has a lower term than %s", found.acked.text(), before.acked.text()))
		}
		before = found
	}
}
