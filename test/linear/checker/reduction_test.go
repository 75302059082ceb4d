package main

import (
	"math/rand"
	"testing"

	"github.com/anishathalye/porcupine"
)

// What registerOperations and logOperations leave out or bound must not change any verdict: small
// random histories, right and wrong ones, are also judged with every unanswered operation left open
// to the end.
const histories = 20000

func open(r *record) int64 {
	if r.unknown() {
		return never
	}
	return r.Return
}

var plainRegister = porcupine.Model{
	Init: registerModel.Init,
	Step: func(state, input, output interface{}) (bool, interface{}) {
		r := input.(*record)
		if r.unknown() && r.Op == "cas" {
			if state.(int64) == r.Expected {
				return true, r.Value
			}
			return true, state
		}
		return registerModel.Step(state, input, output)
	},
}

var plainLog = porcupine.Model{
	Init: logModel.Init,
	Step: func(state, input, output interface{}) (bool, interface{}) {
		r := input.(placed)
		if r.unknown() {
			return true, state.(appendLog).with(r.Value)
		}
		return logModel.Step(state, input, output)
	},
}

// Runs operations at random moments within their intervals; some answers are lost, some are lies.
func randomHistory(random *rand.Rand, choose func(r *record), perform func(r *record, lie bool)) []*record {
	count := 3 + random.Intn(6)
	var records []*record
	type step struct {
		at int64
		r  *record
	}
	var steps []step
	for i := 0; i < count; i++ {
		call := random.Int63n(40)
		r := &record{Client: i, Call: call, Return: call + 1 + random.Int63n(20), Value: int64(i + 1), Outcome: "ok"}
		choose(r)
		at := call + random.Int63n(r.Return-call+1)
		if r.writes() && random.Intn(3) == 0 {
			r.Outcome = "unknown"
			at = call + random.Int63n(60)
		}
		records = append(records, r)
		if !r.unknown() || random.Intn(2) == 0 {
			steps = append(steps, step{at, r})
		}
	}
	for len(steps) > 0 {
		first := 0
		for i := range steps {
			if steps[i].at < steps[first].at {
				first = i
			}
		}
		perform(steps[first].r, random.Intn(12) == 0)
		steps = append(steps[:first], steps[first+1:]...)
	}
	return records
}

func randomRegister(random *rand.Rand) []*record {
	value := int64(0)
	return randomHistory(random, func(r *record) {
		r.Op = []string{"read", "write", "cas"}[random.Intn(3)]
		r.Expected = random.Int63n(6)
	}, func(r *record, lie bool) {
		r.Result = value
		if r.Op == "cas" {
			r.Applied = value == r.Expected
		}
		if r.Op == "write" || r.Applied {
			value = r.Value
		}
		if lie && !r.unknown() {
			r.Result = random.Int63n(8)
			r.Applied = r.Op == "cas" && r.Result == r.Expected
		}
	})
}

func randomLog(random *rand.Rand) []*record {
	var values []int64
	return randomHistory(random, func(r *record) {
		r.Op = []string{"append", "append", "read", "last", "all"}[random.Intn(5)]
		r.Position = random.Int63n(4)
	}, func(r *record, lie bool) {
		at := func(position int64) int64 {
			if position < 0 || position >= int64(len(values)) {
				return 0
			}
			return values[position]
		}
		switch r.Op {
		case "append":
			r.Position = int64(len(values))
			values = append(values, r.Value)
			if lie && !r.unknown() {
				r.Position = random.Int63n(4)
			}
		case "read":
			r.Result = at(r.Position)
			if lie {
				r.Result = random.Int63n(8)
			}
		case "last":
			r.Length = int64(len(values))
			r.Result = at(r.Length - 1)
			if lie && r.Length > 0 {
				r.Length--
				r.Result = at(r.Length - 1)
			}
		case "all":
			r.Values = append([]int64{}, values...)
			if lie && len(values) > 1 {
				r.Values[0], r.Values[1] = r.Values[1], r.Values[0]
			}
		}
	})
}

func TestRegisterReductionKeepsVerdicts(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	var verdicts [2]int
	for i := 0; i < histories; i++ {
		records := randomRegister(random)
		var plain []porcupine.Operation
		for _, r := range records {
			if r.ok() || r.writes() {
				plain = append(plain, operation(r, open(r)))
			}
		}
		compare(t, i, records, porcupine.CheckOperations(plainRegister, plain),
			porcupine.CheckOperations(registerModel, registerOperations(records)), &verdicts)
	}
	balanced(t, verdicts)
}

func TestLogReductionKeepsVerdicts(t *testing.T) {
	random := rand.New(rand.NewSource(2))
	var verdicts [2]int
	for i := 0; i < histories; i++ {
		records := randomLog(random)
		var plain []porcupine.Operation
		for _, r := range records {
			one := operation(r, open(r))
			one.Input = placed{r, r.Position, nil}
			plain = append(plain, one)
		}
		compare(t, i, records, porcupine.CheckOperations(plainLog, plain),
			porcupine.CheckOperations(logModel, logOperations(records)), &verdicts)
	}
	balanced(t, verdicts)
}

func compare(t *testing.T, i int, records []*record, plain, reduced bool, verdicts *[2]int) {
	t.Helper()
	if plain {
		verdicts[0]++
	} else {
		verdicts[1]++
	}
	if plain == reduced {
		return
	}
	for _, r := range records {
		t.Log(r.text())
	}
	t.Fatalf("history %d: linearizable is %t, after the reduction %t", i, plain, reduced)
}

// Both verdicts must come up often, else nothing was compared.
func balanced(t *testing.T, verdicts [2]int) {
	t.Helper()
	t.Logf("%d linearizable, %d not", verdicts[0], verdicts[1])
	if min(verdicts[0], verdicts[1]) < histories/10 {
		t.Fatalf("%d linearizable and %d not: too few of one kind", verdicts[0], verdicts[1])
	}
}
