package main

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// budget is how long the search for an order may take. It takes a fraction of a second: a key is written sixty times.
const budget = 60 * time.Second

// answer is what porcupine takes for the output of an operation.
type answer struct {
	read    int64
	swapped bool
	unknown bool
}

// register is one key: it holds the value last written.
var register = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		holds, op, said := state.(int64), input.(Op), output.(answer)
		switch op.Kind {
		case Put:
			return true, op.Value
		case Get:
			return said.read == holds, holds
		case Swap:
			switch {
			case said.unknown && holds == op.Old, said.swapped && holds == op.Old:
				return true, op.Value
			case said.unknown:
				return true, holds
			case said.swapped:
				return false, holds
			default:
				return holds != op.Old && said.read == holds, holds
			}
		}
		return false, holds
	},
	Equal: func(a, b any) bool { return a.(int64) == b.(int64) },
}

// checkLinear looks, key by key, for an order of the operations in which every answer is right and which respects time.
func checkLinear(ops []Op) []Violation {
	byKey := map[int][]Op{}
	for _, op := range ops {
		byKey[op.Key] = append(byKey[op.Key], op)
	}
	var found []Violation
	deadline := time.Now().Add(budget)
	for key, ops := range byKey {
		history := porcupineHistory(ops)
		switch porcupine.CheckOperationsTimeout(register, history, max(time.Millisecond, time.Until(deadline))) {
		case porcupine.Ok:
		case porcupine.Illegal:
			found = append(found, violation("linearizable", shortest(ops), "no order of the operations on key %d explains every answer", key))
		case porcupine.Unknown:
			found = append(found, violation("undecided", ops, "the operations on key %d were not put in order within %s", key, budget))
		}
		if len(found) == maxViolations {
			break
		}
	}
	return found
}

// porcupineHistory keeps what can be told from the outside. An operation that failed did not happen. One of unknown outcome may
// have happened at any later time: it stays open to the end; but where nobody has read its value it may as well have happened
// after everything, and is left out, because each open one doubles the search.
func porcupineHistory(ops []Op) []porcupine.Operation {
	seen := map[int64]bool{}
	end := time.Duration(0)
	for index := range ops {
		seen[ops[index].Read], seen[ops[index].Old] = true, true
		end = max(end, ops[index].Retired)
	}
	var history []porcupine.Operation
	for _, op := range ops {
		ended := op.Retired
		switch op.Outcome {
		case Ok:
		case Failed:
			continue
		case Unknown:
			if op.Kind == Get || !seen[op.Value] {
				continue
			}
			ended = end + 1
		}
		history = append(history, porcupine.Operation{
			ClientId: op.Worker, Input: op, Call: int64(op.Invoked), Return: int64(ended),
			Output: answer{read: op.Read, swapped: op.Swapped, unknown: op.Outcome == Unknown},
		})
	}
	return history
}

// shortest returns the operations up to the first with which they cannot be put in order any more.
func shortest(ops []Op) []Op {
	for length := 1; length <= len(ops); length++ {
		// What had not ended by then is open, so that only the answers given so far count.
		at := ops[length-1].Invoked
		prefix := make([]Op, 0, length)
		for _, op := range ops[:length] {
			if op.Retired > at && op.Outcome == Ok && op.Invoked != at {
				op.Outcome, op.Error = Unknown, "not over at that time"
			}
			prefix = append(prefix, op)
		}
		if porcupine.CheckOperationsTimeout(register, porcupineHistory(prefix), time.Second) == porcupine.Illegal {
			return ops[max(0, length-around):length]
		}
	}
	return ops[max(0, len(ops)-around):]
}

// Violation is a promise of etcd that was broken.
type Violation struct {
	Rule        string   `json:"rule"`
	Explanation string   `json:"explanation"`
	Ops         []string `json:"ops,omitempty"`
}

const (
	// maxViolations of one rule are told: the first says it all.
	maxViolations = 5
	// around is how many operations are told for one violation.
	around = 12
)

func violation(rule string, ops []Op, format string, args ...any) Violation {
	told := make([]string, 0, around)
	for index := range ops[max(0, len(ops)-around):] {
		told = append(told, ops[max(0, len(ops)-around)+index].String())
	}
	return Violation{Rule: rule, Explanation: fmt.Sprintf(format, args...), Ops: told}
}
