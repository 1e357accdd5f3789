package main

import (
	"slices"
	"testing"
	"time"
)

func TestATrueHistoryIsAccepted(t *testing.T) {
	w := newWorld()
	first := w.put(1)
	w.get(1)
	w.swap(1, first.Value)
	w.swap(1, first.Value) // finds another value
	w.lost(1, true)
	w.get(1)
	w.lost(1, false)
	w.get(1)
	w.put(2)
	wants(t, w.evidence())
}

func TestALongHistoryIsAcceptedInSeconds(t *testing.T) {
	w := busy(200_000)
	evidence := w.evidence()
	slices.SortStableFunc(evidence.Ops, func(a, b Op) int { return int(a.Invoked - b.Invoked) })
	started := time.Now()
	wants(t, evidence)
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

// Each planted violation is found, by the rule that names it.

func TestALostWriteIsFound(t *testing.T) {
	w := newWorld()
	w.put(1)
	w.put(2)
	e := w.evidence()
	delete(e.Finals[0], 2)
	wants(t, e, "lost")
}

func TestAWriteOverwrittenByAnOlderOneIsFound(t *testing.T) {
	w := newWorld()
	older := *w.put(1)
	w.put(1)
	e := w.evidence()
	e.Finals[0][1] = Last{Value: older.Value, Revision: older.Revision, Version: 1}
	wants(t, e, "lost")
}

func TestAWriteThatNoWatcherWasToldOfIsFound(t *testing.T) {
	w := newWorld()
	w.put(1)
	w.put(2)
	e := w.evidence()
	e.Watched[1] = e.Watched[1][:1]
	wants(t, e, "watch")
}

func TestAGapInAWatchIsFoundEvenIfNobodyWasAcknowledged(t *testing.T) {
	w := newWorld()
	w.put(1)
	w.lost(1, true)
	w.put(1)
	e := w.evidence()
	e.Watched = [][]Event{slices.Delete(slices.Clone(w.events), 1, 2)}
	wants(t, e, "watch")
}

func TestAWatchOutOfOrderIsFound(t *testing.T) {
	w := newWorld()
	w.put(1)
	w.put(2)
	e := w.evidence()
	e.Watched = [][]Event{{w.events[1], w.events[0]}}
	wants(t, e, "watch")
}

func TestAStaleReadIsFound(t *testing.T) {
	w := newWorld()
	older := w.put(1).Value
	w.put(1)
	read := w.get(1)
	read.Read = older
	wants(t, w.evidence(), "linearizable")
}

func TestAStaleReadBesideAnUnknownWriteIsFound(t *testing.T) {
	w := newWorld()
	older := w.put(1).Value
	w.lost(1, true)
	w.get(1)
	read := w.get(1)
	read.Read = older
	wants(t, w.evidence(), "linearizable")
}

func TestAReadFromAnOlderStoreIsFound(t *testing.T) {
	w := newWorld()
	w.put(1)
	w.put(2)
	read := w.get(1) // the value is right, but the store had not seen key 2
	read.Revision--
	wants(t, w.evidence(), "order")
}

func TestRevisionsThatGoBackAreFound(t *testing.T) {
	w := newWorld()
	w.put(1)
	w.ops[0].Revision = w.put(2).Revision
	wants(t, w.evidence(), "order", "watch", "watch", "lost")
}

func TestAFailedWriteThatHappenedIsFound(t *testing.T) {
	w := newWorld()
	failed := w.lost(1, true)
	failed.Outcome = Failed
	w.get(1)
	wants(t, w.evidence(), "watch", "watch", "linearizable")
}

func TestASwapThatSwappedTwiceIsFound(t *testing.T) {
	w := newWorld()
	first := w.put(1).Value
	w.swap(1, first)
	again := w.swap(1, first) // refused by a true store
	again.Swapped = true
	again.Read = 0
	if !slices.Contains(rules(Judge(w.evidence())), "linearizable") {
		t.Error("not found")
	}
}

func TestASecondClusterIsFound(t *testing.T) {
	w := newWorld()
	w.put(1)
	w.put(1).Cluster = 0xd
	wants(t, w.evidence(), "one cluster")
}

func TestAnEmptyStoreIsFound(t *testing.T) {
	w := newWorld()
	w.put(1)
	w.put(2)
	e := w.evidence()
	e.Finals[0] = map[int]Last{}
	wants(t, e, "lost", "lost")
}

func TestAViolationNamesItsOperations(t *testing.T) {
	w := newWorld()
	older := w.put(7).Value
	w.put(7)
	w.get(7).Read = older
	found := Judge(w.evidence())
	if len(found) != 1 || len(found[0].Ops) != 3 || found[0].Ops[2] != "key 7, worker 0, 0.005-0.006 s: get -> 1, ok at revision 3" {
		t.Errorf("%+v", found)
	}
}

func wants(t *testing.T, e Evidence, wanted ...string) {
	t.Helper()
	found := Judge(e)
	if got := rules(found); !slices.Equal(got, wanted) {
		t.Errorf("found %q, wanted %q: %+v", got, wanted, found)
	}
}

func rules(found []Violation) []string {
	var all []string
	for _, one := range found {
		all = append(all, one.Rule)
	}
	return all
}
